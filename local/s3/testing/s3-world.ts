/**
 * A store behind a minimal gateway, for the tests of this folder: HTTP, but no check of signatures on
 * headers.
 */
import { createHash, createHmac } from "node:crypto";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { S3Client } from "@aws-sdk/client-s3";
import { AwsError } from "../../core/aws-error.ts";
import { ManualClock } from "../../core/clock.ts";
import type { AccessRequest, Caller, Service, ServiceRequest } from "../../core/service.ts";
import type { KeyUseRequest } from "../access.ts";
import { openS3, type S3 } from "../s3.ts";
import type { Faults } from "../s3-service.ts";

export const SECRET = "test-secret";
export const REGION = "local-1";
const CALLER: Caller = {
  kind: "service",
  service: "tests.amazonaws.com",
  sourceArn: "arn:aws:iam::000000000000:role/tests",
};

export class TestWorld {
  readonly folder: string;
  readonly clock = new ManualClock();
  /** Every access request, in order. */
  readonly accesses: AccessRequest[] = [];
  readonly keyUses: KeyUseRequest[] = [];
  readonly reports: unknown[] = [];
  /** Which requests the authorizer refuses. By default none. */
  denies: (request: AccessRequest) => boolean = () => false;
  /** The fault port's behaviour. By default it causes no fault. */
  fault: Faults["before"] = async () => undefined;
  #running: { s3: S3; server: Server; client: S3Client } | undefined;

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async start(): Promise<TestWorld> {
    const world = new TestWorld(await mkdtemp(path.join(tmpdir(), "s3-")));
    await world.open();
    return world;
  }

  get client(): S3Client {
    return this.#require().client;
  }

  get port(): number {
    return (this.#require().server.address() as AddressInfo).port;
  }

  get service(): Service {
    return this.#require().s3.service;
  }

  async bucket(name: string, properties: Record<string, unknown> = {}): Promise<void> {
    await this.provision("AWS::S3::Bucket", { BucketName: name, ...properties });
  }

  provision(type: string, properties: Record<string, unknown>) {
    const resource = {
      type,
      properties,
      stack: "test",
      logicalId: "Logical",
      generatedName: "generated-name",
    };
    return this.#require().s3.provider.provision(resource);
  }

  async open(): Promise<void> {
    const s3 = await openS3({
      folder: this.folder,
      clock: this.clock,
      authorizer: {
        authorize: (_, request) => {
          this.accesses.push(request);
          if (this.denies(request))
            throw new AwsError("AccessDeniedException", `not allowed: ${request.action}`, 403);
        },
      },
      keys: { authorizeKeyUse: (_, use) => void this.keyUses.push(use) },
      report: (error) => this.reports.push(error),
      faults: { before: (request) => this.fault(request) },
    });
    const server = createServer((request, response) => void serve(s3.service, request, response));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const client = new S3Client({
      endpoint: `http://127.0.0.1:${port}`,
      region: REGION,
      forcePathStyle: true,
      credentials: { accessKeyId: "test", secretAccessKey: SECRET },
      maxAttempts: 1,
    });
    this.#running = { s3, server, client };
  }

  /** Closes the store cleanly. `open` starts it again on the same folder. */
  async close(): Promise<void> {
    const { s3, server, client } = this.#require();
    this.#running = undefined;
    client.destroy();
    await new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    });
    await s3.service.close();
  }

  async stop(): Promise<void> {
    if (this.#running) await this.close();
    await rm(this.folder, { recursive: true });
  }

  /**
   * Sends raw bytes that no client would send. Resolves with the answer once the server has closed the
   * connection, so the request needs `connection: close`. `hangUp` cuts the connection after the last piece.
   */
  raw(pieces: readonly (string | Buffer)[], { hangUp = false } = {}): Promise<string> {
    return new Promise((resolve, reject) => {
      const socket = connect(this.port, "127.0.0.1");
      let answer = "";
      socket.on("error", reject);
      socket.on("data", (data) => {
        answer += data.toString("latin1");
      });
      socket.on("close", () => resolve(answer));
      socket.write(Buffer.concat(pieces.map((piece) => Buffer.from(piece))), () => {
        if (hangUp) socket.destroy();
      });
    });
  }

  /** All files of the store except those of the metadata. */
  async files(): Promise<string[]> {
    const entries = await readdir(this.folder, { recursive: true, withFileTypes: true });
    const files = entries.filter((entry) => entry.isFile() && !entry.name.startsWith("metadata.sqlite"));
    return files.map(({ parentPath, name }) => path.relative(this.folder, path.join(parentPath, name)));
  }

  #require(): { s3: S3; server: Server; client: S3Client } {
    if (!this.#running) throw new Error("the test world is closed");
    return this.#running;
  }
}

async function serve(service: Service, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = request.url ?? "/";
  const at = url.indexOf("?");
  const [pathname, search] = at < 0 ? [url, ""] : [url.slice(0, at), url.slice(at)];
  const answer = await service
    .handle({
      caller: CALLER,
      method: request.method ?? "GET",
      path: pathname,
      query: new URLSearchParams(search),
      headers: request.headers,
      body: request,
      readBody: () => Promise.reject(new Error("the S3 service reads bodies itself")),
      signature: signatureOf(request),
    })
    .catch((error: unknown) =>
      service.renderError(error, { method: request.method ?? "GET", path: pathname }),
    );
  response.writeHead(answer.status, answer.headers);
  if (answer.body === undefined || typeof answer.body === "string" || Buffer.isBuffer(answer.body)) {
    response.end(answer.body);
    return;
  }
  // A body that ends early cuts the connection. Tests check the client's side.
  await pipeline(answer.body as Readable, response).catch(() => response.destroy());
}

function signatureOf(request: IncomingMessage): ServiceRequest["signature"] {
  const date = String(request.headers["x-amz-date"] ?? "");
  const scope = `${date.slice(0, 8)}/${REGION}/s3/aws4_request`;
  const seed = /Signature=([0-9a-f]{64})/.exec(request.headers.authorization ?? "")?.[1] ?? "";
  const payloadHash = String(request.headers["x-amz-content-sha256"] ?? "UNSIGNED-PAYLOAD");
  return { seed, key: signingKey(scope), scope, date, payloadHash };
}

export function signingKey(scope: string): Buffer {
  const hmac = (key: string | Buffer, text: string) => createHmac("sha256", key).update(text).digest();
  return scope.split("/").reduce<Buffer>(hmac, Buffer.from(`AWS4${SECRET}`));
}

export function sha256(bytes: string | Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}
