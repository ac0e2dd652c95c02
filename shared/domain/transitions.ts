import { WrongStateError } from "../errors.ts";
import type { ConversionState } from "../protocol/resources.ts";

/** Which states may follow which: a life cycle as data. */
export type Transitions<S extends string> = Readonly<Record<S, readonly S[]>>;

/** Of what an operator starts and can cancel: a conversion, a drill or a recovery. */
export const cancellableTransitions: Transitions<ConversionState> = {
  running: ["completed", "failed", "cancelling"],
  // The operator has seen that it is being cancelled, so it must not end in any other way.
  cancelling: ["cancelled"],
  completed: [],
  failed: [],
  cancelled: [],
};

/** Whether no other state can follow this one. */
export function isFinal<S extends string>(transitions: Transitions<S>, state: S): boolean {
  return transitions[state].length === 0;
}

/**
 * Returns `to` if the life cycle allows it after `from`; throws `WrongStateError` naming `what` otherwise,
 * with this hint.
 */
export function move<S extends string, T extends S>(
  transitions: Transitions<S>,
  what: string,
  from: S,
  to: T,
  hint?: string,
): T {
  if (!transitions[from].includes(to))
    throw new WrongStateError(`${what} is ${from}: it cannot become ${to}`, hint);
  return to;
}
