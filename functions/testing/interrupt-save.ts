import type { World } from "./world.ts";

/** The next command that is saved is not: the process is killed before. Later ones are saved. */
export function interruptNextSave({ commands }: World["store"]): void {
  interruptNthCall(commands, "save", 1);
}

/** The process is killed before the nth next call of a method. Other calls happen. */
export function interruptNthCall<K extends string>(store: WithMethod<K>, method: K, nth: number): void {
  beforeNthCall(store, method, nth, () => Promise.reject(new Error("killed")));
}

/** Something else happens right before the next call of a method. */
export function beforeNextCall<K extends string>(
  store: WithMethod<K>,
  method: K,
  happen: () => Promise<unknown>,
): void {
  beforeNthCall(store, method, 1, happen);
}

type WithMethod<K extends string> = { [name in K]: (...args: never[]) => Promise<unknown> };

/** A call before which `happen` rejects does not happen. */
function beforeNthCall<K extends string>(
  store: WithMethod<K>,
  method: K,
  nth: number,
  happen: () => Promise<unknown>,
): void {
  const original = store[method].bind(store) as (...args: unknown[]) => Promise<unknown>;
  let calls = 0;
  const counted = async (...args: unknown[]) => {
    if (++calls < nth) return original(...args);
    Object.assign(store, { [method]: original });
    await happen();
    return original(...args);
  };
  Object.assign(store, { [method]: counted });
}
