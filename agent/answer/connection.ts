import { connect, isIP } from "node:net";
import type { CheckMeans } from "./wait.ts";

/** Why no connection can be opened; `undefined` if one was. */
export function connectionRefusal(
  { host, port }: { host: string; port: number },
  { addressProblem, lookup, connectLimitMs }: CheckMeans,
): Promise<string | undefined> {
  const problem = literalProblem(host, { addressProblem });
  if (problem) return Promise.resolve(problem);
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  const socket = connect({ host, port, lookup });
  // The socket's own limit starts only once the name has been resolved.
  const timer = setTimeout(() => resolve("no answer"), connectLimitMs);
  socket.once("connect", () => resolve(undefined));
  socket.on("error", (error) => resolve(errorWord(error)));
  return promise.finally(() => {
    clearTimeout(timer);
    socket.destroy();
  });
}

/** Of an address, which is not looked up; `undefined` for a name. */
export function literalProblem(
  host: string,
  { addressProblem }: Pick<CheckMeans, "addressProblem">,
): string | undefined {
  return isIP(host) > 0 ? addressProblem(host) : undefined;
}

/** An error in one word if it has one. Never what the other side wrote. */
export function errorWord(error: NodeJS.ErrnoException): string {
  return error.code ?? error.message;
}
