/** The values that every server of the benchmark writes. */
export const SECURITY_HEADERS: Readonly<Record<string, string>>;
