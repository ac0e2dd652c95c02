export interface Step {
  name: string;
  seconds: number;
}

/** Runs one step of a demo: says on standard error that it begins, and notes how long it took. */
export type RunStep = <T>(name: string, run: () => Promise<T>) => Promise<T>;

/** Each step that ends, also by an error, is added to `steps`. */
export function stepRunner(steps: Step[]): RunStep {
  return async (name, run) => {
    console.error(`demo: ${name}`);
    const start = performance.now();
    try {
      return await run();
    } finally {
      steps.push({ name, seconds: secondsSince(start) });
    }
  };
}

/** `start`: by `performance.now()`. To a hundredth of a second. */
export function secondsSince(start: number): number {
  return Math.round((performance.now() - start) / 10) / 100;
}
