import type { AlgorithmName } from "./algorithms.js";

const USUAL_TYPES = ["JWT", "at+jwt"] as const;

/**
 * The first parts of tokens that libraries usually write for a key: `alg`, `typ` and `kid` in any
 * order, `typ` and `kid` also missing, no white space.
 */
export function usualHeaderSegments(alg: AlgorithmName, kid: string | undefined): readonly string[] {
  const withoutType: Member[] = [["alg", alg]];
  const memberLists = [withoutType, ...USUAL_TYPES.map((typ): Member[] => [...withoutType, ["typ", typ]])];
  const withKeyId = kid === undefined ? [] : memberLists.map((members): Member[] => [...members, ["kid", kid]]);
  return [...memberLists, ...withKeyId]
    .flatMap(permutations)
    .map((members) => Buffer.from(JSON.stringify(Object.fromEntries(members))).toString("base64url"));
}

type Member = readonly [name: string, value: string];

function permutations(members: readonly Member[]): readonly (readonly Member[])[] {
  if (members.length === 0) return [[]];
  return members.flatMap((first, index) =>
    permutations(members.toSpliced(index, 1)).map((others) => [first, ...others]),
  );
}
