import { WrongStateError } from "../errors.ts";

/** Which states may follow which: a life cycle as data. */
export type Transitions<S extends string> = Readonly<Record<S, readonly S[]>>;

/** Whether no other state can follow this one. */
export function isFinal<S extends string>(transitions: Transitions<S>, state: S): boolean {
  return transitions[state].length === 0;
}

/**
 * Returns `to` if the life cycle allows it after `from`; throws `WrongStateError` naming `what` otherwise.
 */
export function move<S extends string, T extends S>(
  transitions: Transitions<S>,
  what: string,
  from: S,
  to: T,
): T {
  if (!transitions[from].includes(to))
    throw new WrongStateError(`${what} is ${from}: it cannot become ${to}`);
  return to;
}
