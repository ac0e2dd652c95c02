import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

/** One request. */
export interface Asked {
  method: string;
  /** With the query. */
  path: string;
  /** `undefined` if it has none. */
  body: unknown;
}

/** For tests: an API on a port of this computer, for command lines that talk to one. */
export class FakeApi {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** `answer`: what each request gets, as JSON with the status 200. */
  static async start(answer: (asked: Asked) => unknown): Promise<FakeApi> {
    const server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        const text = Buffer.concat(chunks).toString();
        const { method = "", url: path = "" } = request;
        response.setHeader("content-type", "application/json");
        response.end(
          JSON.stringify(answer({ method, path, body: text === "" ? undefined : JSON.parse(text) })),
        );
      });
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
    return new FakeApi(server);
  }

  /** By which the command line finds it. */
  get environment(): Record<string, string> {
    const { port } = this.#server.address() as AddressInfo;
    return { CAUSEWAY_URL: `http://127.0.0.1:${port}`, CAUSEWAY_TOKEN: "t" };
  }

  close(): void {
    this.#server.close();
  }
}
