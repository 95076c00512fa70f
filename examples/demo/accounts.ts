import { randomBytes, type ScryptOptions, scrypt, timingSafeEqual } from "node:crypto";

/** Somebody who can sign in. */
export interface User {
  readonly id: string;
  readonly name: string;
  readonly displayName: string;
  /** Scopes of the user's tokens, with spaces between. */
  readonly scope: string;
  readonly roles: readonly string[];
}

/** The users of this demo. Their passwords are no secret: the sign-in page shows them. */
export const DEMO_USERS = [
  {
    id: "u1",
    name: "ada",
    password: "prelude-in-g",
    displayName: "Ada",
    about: "member, may read reports",
    scope: "reports:read",
    roles: ["member"],
  },
  {
    id: "u2",
    name: "grace",
    password: "sarabande-in-d",
    displayName: "Grace",
    about: "admin, may also delete them",
    scope: "reports:read reports:write",
    roles: ["admin"],
  },
] as const;

interface PasswordHash {
  readonly salt: Buffer;
  readonly hash: Buffer;
}

/** Where users and the hashes of their passwords are kept: in memory, until the demo stops. */
export class Accounts {
  readonly #users = new Map<string, User>();
  readonly #hashes = new Map<string, PasswordHash>();
  /** Compared with when there is no such user, so that both cases take as long. */
  readonly #nobody: PasswordHash;

  private constructor(nobody: PasswordHash) {
    this.#nobody = nobody;
  }

  /** The accounts of {@link DEMO_USERS}. */
  static async create(): Promise<Accounts> {
    const accounts = new Accounts(await hashPassword(randomBytes(16).toString("hex")));
    for (const { password, about: _about, ...user } of DEMO_USERS) {
      accounts.#users.set(user.id, user);
      accounts.#hashes.set(user.name, await hashPassword(password));
    }
    return accounts;
  }

  /** The user with this name and password; `undefined` when there is none. */
  async authenticate(name: string, password: string): Promise<User | undefined> {
    const { salt, hash } = this.#hashes.get(name) ?? this.#nobody;
    const isRight = timingSafeEqual(await derive(password, salt), hash);
    return isRight ? [...this.#users.values()].find((user) => user.name === name) : undefined;
  }

  find(id: string | undefined): User | undefined {
    return id === undefined ? undefined : this.#users.get(id);
  }

  rename(user: User, displayName: string): void {
    this.#users.set(user.id, { ...user, displayName });
  }
}

// One of the parameter sets of the OWASP Password Storage Cheat Sheet: 16 MiB for each guess.
const COST: ScryptOptions = { N: 2 ** 14, r: 8, p: 5 };

async function hashPassword(password: string): Promise<PasswordHash> {
  const salt = randomBytes(16);
  return { salt, hash: await derive(password, salt) };
}

function derive(password: string, salt: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    scrypt(password, salt, 32, COST, (error, key) => (error === null ? resolve(key) : reject(error)));
  });
}
