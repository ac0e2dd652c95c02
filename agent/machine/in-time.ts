/**
 * What comes in time, else what `late` gives or throws. What hangs is left to itself, and however it ends
 * then is nobody's concern.
 */
export function inTime<T, L>(work: Promise<T>, limitMs: number, late: () => L): Promise<T | L> {
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
