import type { Browser } from "playwright-core";
import { inject } from "vitest";
import { type RedisAddress, redisAt } from "../redis/server.js";

/** What one process makes for all test files, as text can carry it. */
export interface SharedThings {
  readonly package: SharedPackage;
  readonly cluster: { readonly ports: readonly number[] };
  readonly chromium: { readonly wsEndpoint: string };
}

/** The package as npm would publish it. */
export interface SharedPackage {
  readonly tarball: string;
  /** Where its content lies, in a `node_modules` from which it finds what it depends on. */
  readonly folder: string;
}

/** How long the first who asks may wait; machines are busy. */
export const SHARED_MS = 120_000;

export function sharedPackage(): Promise<SharedPackage> {
  return ask("package");
}

/** The primaries of a Redis Cluster that nobody stops or empties: take a key prefix of your own. */
export async function sharedCluster(): Promise<readonly RedisAddress[]> {
  const { ports } = await ask("cluster");
  return ports.map(redisAt);
}

/** A Chromium; end its contexts and close it, which ends the connection alone. */
export async function sharedChromium(): Promise<Browser> {
  const { wsEndpoint } = await ask("chromium");
  // Loaded by those who need it alone: it is large.
  const { chromium } = await import("playwright-core");
  return chromium.connect(wsEndpoint);
}

async function ask<Name extends keyof SharedThings>(name: Name): Promise<SharedThings[Name]> {
  const response = await fetch(`${inject("sharedUrl")}/${name}`);
  // What the other process sends is what this type says it makes.
  const answer = (await response.json()) as SharedThings[Name];
  if (!response.ok) throw new Error(`the ${name} for all tests: ${answer}`);
  return answer;
}
