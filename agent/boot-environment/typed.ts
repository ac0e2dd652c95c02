import { parseControlPlaneUrl } from "./control-plane-url.ts";

const RESTART = "restart";

/** What somebody before the machine has to say: where the control plane is, or that it is to restart. */
export class Typed {
  /** Resolved once the word was typed. */
  readonly restart: Promise<undefined>;
  readonly #onNonsense: (line: string) => void;
  #onRestart: (nothing: undefined) => void = () => {};
  #onUrl: (url: string) => void = () => {};

  constructor(onNonsense: (line: string) => void) {
    this.#onNonsense = onNonsense;
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
    else this.#onNonsense(text);
  }

  /** The next address that is typed from now on; an earlier wait for one is over then, unanswered. */
  nextUrl(): Promise<string> {
    return new Promise((resolve) => {
      this.#onUrl = resolve;
    });
  }
}
