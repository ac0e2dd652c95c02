/**
 * Takes the place of a pool of one worker, but works in the calling thread, one message at a time. For little
 * work: a thread's start would take longer.
 */
export class OwnThread<In> {
  readonly #handle: (message: In) => void;
  readonly #onError: (error: Error) => void;
  #ending = false;

  constructor(handle: (message: In) => void, onError: (error: Error) => void) {
    this.#handle = handle;
    this.#onError = onError;
  }

  /** Has no effect once it ends. */
  send(_number: number, message: In): void {
    setImmediate(() => {
      if (this.#ending) return;
      try {
        this.#handle(message);
      } catch (error) {
        this.#onError(error instanceof Error ? error : new Error(String(error)));
      }
    });
  }

  async end(): Promise<void> {
    this.#ending = true;
  }
}
