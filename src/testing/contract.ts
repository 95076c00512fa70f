/** One thing that a store must do. */
export interface ContractCase {
  /** What it does, as a sentence. */
  readonly name: string;
  /** Tries it; rejects with an `AssertionError` when the store does not. */
  run(): Promise<void>;
}

/** How a contract gets at the stores that it tries. */
export interface ContractOptions<Store> {
  /**
   * Makes a store; called at least once for each case, and what it makes is closed afterwards. It need
   * not be empty: the contract uses keys that nobody else does.
   */
  make(): Store | Promise<Store>;
  /**
   * Whether two stores made by `make` have their content together, as the stores of two processes with
   * one database have. The contract then tries that too. Default: `false`.
   */
  readonly isShared?: boolean | undefined;
}

/** What a case tries: a store, and a second one with the same content where stores are shared. */
export type ContractTrial<Store> = (store: Store, other: Store) => void | Promise<void>;

interface Closable {
  close?(): unknown;
}

/** A case that is tried with one store. */
export function tryOne<Store extends Closable>(
  { make }: ContractOptions<Store>,
  name: string,
  trial: (store: Store) => void | Promise<void>,
): ContractCase {
  return {
    name,
    async run() {
      const store = await make();
      try {
        await trial(store);
      } finally {
        await store.close?.();
      }
    },
  };
}

/** A case that is tried with two stores of one content; none where stores are not shared. */
export function tryTwo<Store extends Closable>(
  { make, isShared }: ContractOptions<Store>,
  name: string,
  trial: ContractTrial<Store>,
): readonly ContractCase[] {
  if (isShared !== true) return [];
  const withOther = async (store: Store) => {
    const other = await make();
    try {
      await trial(store, other);
    } finally {
      await other.close?.();
    }
  };
  return [tryOne({ make }, name, withOther)];
}

/** Texts that stores have stumbled over: separators, braces of hash tags, names of JavaScript, other scripts. */
export const AWKWARD_TEXTS: readonly string[] = [
  "a b",
  "a:b",
  "a",
  "{a}",
  "{a}:b",
  "}{",
  "*",
  "%s\\n",
  "line\nbreak",
  "null\0byte",
  "__proto__",
  "constructor",
  "Ærøskøbing",
  "日本",
  "🦊",
  "2001:db8::/64",
  "x".repeat(2000),
];
