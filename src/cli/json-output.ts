/**
 * A value as indented JSON that is safe to show in a terminal. JSON itself lets through the control
 * characters above ASCII, which some terminals obey, and those that turn the reading direction.
 */
export function printableJson(value: unknown): string {
  const text = JSON.stringify(value, null, 2);
  return text.replace(/[\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}
