import { EventHub } from "../core/events.js";
import type { MaybePromise } from "../core/later.js";
import { StoreGuard } from "../core/store-guard.js";
import type { OnStoreError } from "./config.js";
import type { RevocationList } from "./revocation.js";

/**
 * Stands before a list of revocations: says what to do while the list cannot be relied on, tells
 * changes of its state once, and turns its failures into one kind of error.
 */
export class GuardedRevocations {
  /** The list itself, to be asked: of all that goes wrong there, only a revocation that cannot be told throws. */
  readonly list: RevocationList;
  readonly #denies: boolean;
  readonly #guard: StoreGuard;
  /** For a list that says itself whether it is current: two voices would contradict each other. */
  readonly #silentGuard: StoreGuard;
  #wasCurrent = true;
  #opening: Promise<void> | undefined;

  constructor(list: RevocationList, onStoreError: OnStoreError, events: EventHub) {
    this.list = list;
    this.#denies = onStoreError === "deny";
    const complaint = "the list of revoked tokens could not be told";
    this.#guard = new StoreGuard("revocation", complaint, events);
    this.#silentGuard = new StoreGuard("revocation", complaint, new EventHub());
  }

  /** Whether no token may pass now, because the list may be out of date. Asked for every request. */
  get mustDeny(): boolean {
    const isCurrent = this.list.isCurrent !== false;
    if (isCurrent !== this.#wasCurrent && (isCurrent || !this.#isOnlyBehind)) this.#note(isCurrent);
    return !isCurrent && this.#denies;
  }

  /** @throws StoreUnavailableError, or rejects with it, when the list could not be told */
  revoke(jti: string, expiresAt: number | undefined): MaybePromise<void> {
    return this.#tell(() => this.list.revoke(jti, expiresAt));
  }

  /** @throws StoreUnavailableError, or rejects with it, when the list could not be told */
  revokeAll(sub: string, nowMs: number, lifetime: number): MaybePromise<void> {
    return this.#tell(() => this.list.revokeAll(sub, nowMs, lifetime));
  }

  /** Begins to follow a shared list, once; the promise is never rejected. */
  open(): Promise<void> {
    this.#opening ??= this.#open();
    return this.#opening;
  }

  async #open(): Promise<void> {
    try {
      await this.list.open?.(() => this.mustDeny);
    } catch (error) {
      this.#guard.failed(error instanceof Error ? error.message : String(error));
    }
  }

  /** Who does not wait for the answer is not punished for a failure with the end of the process. */
  #tell(call: () => MaybePromise<void>): MaybePromise<void> {
    const guard = this.list.isCurrent === undefined ? this.#guard : this.#silentGuard;
    const told = guard.ask(call, () => {});
    if (told instanceof Promise) told.catch(() => {});
    return told;
  }

  /** A busy process is no failure of its store. */
  get #isOnlyBehind(): boolean {
    return this.list.catchUp !== undefined && this.list.failure === undefined;
  }

  #note(isCurrent: boolean): void {
    this.#wasCurrent = isCurrent;
    if (isCurrent) this.#guard.answered();
    else {
      const failure = this.list.failure ?? "nothing has been heard of the shared list of revoked tokens";
      this.#guard.failed(failure, this.list.failureCause);
    }
  }
}
