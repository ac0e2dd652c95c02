import { Store } from "../store.ts";

/** A store in memory, which stays when its engine is closed, as a file does. */
export class KeptStore extends Store {
  constructor() {
    super(":memory:");
  }

  override close(): void {}

  end(): void {
    super.close();
  }
}
