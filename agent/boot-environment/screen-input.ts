import { parseControlPlaneUrl } from "./control-plane-url.ts";

const RESTART = "restart";

/** Handles what a person at the machine types: the control plane's address, or `restart`. */
export class ScreenInput {
  /** Resolves when the word is typed. */
  readonly restart: Promise<undefined>;
  readonly #onUnknown: (line: string) => void;
  #onRestart: (nothing: undefined) => void = () => {};
  #onUrl: (url: string) => void = () => {};

  constructor(onUnknown: (line: string) => void) {
    this.#onUnknown = onUnknown;
    this.restart = new Promise((resolve) => {
      this.#onRestart = resolve;
    });
  }

  take(line: string): void {
    const text = line.trim();
    if (text === "") return;
    const url = parseControlPlaneUrl(text);
    if (text.toLowerCase() === RESTART) this.#onRestart(undefined);
    else if (url) this.#onUrl(url);
    else this.#onUnknown(text);
  }

  /** The next address typed from now on. Replaces an earlier wait, which then never resolves. */
  nextUrl(): Promise<string> {
    return new Promise((resolve) => {
      this.#onUrl = resolve;
    });
  }
}
