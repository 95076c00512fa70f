/**
 * A response header that a configuration can send. Each has its file, with its specification and
 * the reason for it.
 */
export interface SecurityHeader<Fields> {
  /** The name as its specification spells it. */
  readonly name: string;
  /** The field of the configuration that switches it on. */
  readonly field: string;
  /** The value for a configuration; `undefined`: the header is not sent. */
  readonly value: (config: Fields) => string | undefined;
}
