/**
 * Resolves or rejects as `work` does; once `limitMs` have passed, resolves with what `late` returns, or
 * rejects with what it throws. Work that is late is not cancelled, and its outcome is ignored.
 */
export function withTimeLimit<T, L>(work: Promise<T>, limitMs: number, late: () => L): Promise<T | L> {
  const { promise, resolve, reject } = Promise.withResolvers<T | L>();
  const timer = setTimeout(() => {
    try {
      resolve(late());
    } catch (error) {
      reject(error);
    }
  }, limitMs).unref();
  work.then(resolve, reject).finally(() => clearTimeout(timer));
  return promise;
}
