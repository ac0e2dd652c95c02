import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import { TLSSocket } from "node:tls";
import { inspect } from "node:util";
import { AwsError } from "../core/aws-error.ts";
import type { Clock, Roles } from "../core/service.ts";
import type { CertificateAuthority } from "./certificate-authority.ts";
import type { Device, DeviceAccess } from "./device-access.ts";
import { listen, mutualTlsOptions, peerCertificateId } from "./mutual-tls.ts";
import type { Log, OnRefused } from "./ports.ts";
import { type IotResources, roleAliasArn } from "./resources.ts";
import type { Things } from "./things.ts";

export interface CredentialsProviderOptions {
  authority: CertificateAuthority;
  things: Things;
  access: DeviceAccess;
  resources: IotResources;
  roles: Roles;
  clock: Clock;
  log: Log;
  onRefused: OnRefused;
  hosts: string[];
}

const PATH = /^\/role-aliases\/([\w+=,.@-]{1,128})\/credentials$/;
const REQUEST_TIMEOUT_MS = 10_000;

/**
 * Gives a device temporary credentials of a role for its certificate: `GET
 * /role-aliases/<alias>/credentials`.
 */
export class CredentialsProvider {
  readonly #options: CredentialsProviderOptions;
  #server: Server | undefined;

  constructor(options: CredentialsProviderOptions) {
    this.#options = options;
  }

  /** Listens; gives the port. */
  async start(port: number, host: string): Promise<number> {
    const { authority, hosts, log, onRefused, clock } = this.#options;
    const server = createServer(await mutualTlsOptions(authority, hosts), (request, response) =>
      this.#handle(request, response),
    );
    server.requestTimeout = REQUEST_TIMEOUT_MS;
    server.on("tlsClientError", (error, socket) => {
      const refused = { kind: "tls" as const, reason: error.message, ipAddress: socket.remoteAddress ?? "" };
      log({ level: "warn", message: "refused a device", ...refused });
      onRefused({ ...refused, at: clock.now() });
    });
    this.#server = server;
    return listen(server, port, host);
  }

  async close(): Promise<void> {
    const server = this.#server;
    if (!server?.listening) return;
    await new Promise<void>((done) => {
      server.close(() => done());
      server.closeAllConnections();
    });
  }

  #handle(request: IncomingMessage, response: ServerResponse): void {
    request.resume();
    try {
      answer(response, 200, { credentials: this.#credentials(request) });
    } catch (error) {
      if (error instanceof AwsError) {
        response.setHeader("x-amzn-errortype", error.code);
        answer(response, error.status, { message: error.message });
        return;
      }
      this.#options.log({
        level: "error",
        message: "the credentials provider failed",
        error: inspect(error),
      });
      answer(response, 500, { message: "Internal failure" });
    }
  }

  // The order of the checks, statuses and messages is that of AWS.
  #credentials(request: IncomingMessage): Record<string, string> {
    const alias = request.method === "GET" ? PATH.exec(request.url ?? "")?.[1] : undefined;
    if (alias === undefined) throw new AwsError("ResourceNotFoundException", "Not found", 404);
    if (!(request.socket instanceof TLSSocket)) throw new Error("a request without TLS");
    const device = this.#device(request, request.socket, alias);
    const roleAlias = this.#options.resources.roleAliases.get(alias);
    if (!roleAlias) throw new AwsError("ResourceNotFoundException", "Role alias does not exist", 404);
    try {
      const session = this.#options.roles.assumeForService(
        roleAlias.roleArn,
        "credentials.iot.amazonaws.com",
        { sessionName: device.certificateId, context: sessionContext(device) },
      );
      const issued = this.#options.roles.issueCredentials(session, roleAlias.durationSeconds);
      const { accessKeyId, secretAccessKey, sessionToken, expiresAt } = issued;
      const expiration = new Date(expiresAt).toISOString().replace(/\.\d+Z$/, "Z");
      return { accessKeyId, secretAccessKey, sessionToken, expiration };
    } catch (error) {
      if (!(error instanceof AwsError)) throw error;
      this.#options.log({
        level: "error",
        message: "a role alias's role cannot be assumed",
        alias,
        error: inspect(error),
      });
      throw new AwsError(
        "InvalidRequestException",
        "Unable to assume the role, or the role to assume does not exist",
        400,
        { cause: error },
      );
    }
  }

  #device(request: IncomingMessage, socket: TLSSocket, alias: string): Device {
    const certificateId = peerCertificateId(socket);
    const header = request.headers["x-amzn-iot-thingname"];
    const thingName = typeof header === "string" ? header : undefined;
    const device = { certificateId, ...(thingName !== undefined && { thingName }) };
    const refuse = (reason: string, message: string): never => {
      const ipAddress = socket.remoteAddress ?? "";
      const refused = { kind: "credentials" as const, reason, certificateId, ipAddress, resource: alias };
      this.#options.log({ level: "warn", message: "refused a device", ...refused });
      this.#options.onRefused({ ...refused, at: this.#options.clock.now() });
      throw new AwsError("AccessDeniedException", message, 403);
    };
    if (thingName !== undefined && !this.#options.things.isAttached(thingName, certificateId)) {
      return refuse("the certificate is not attached to the thing", "Invalid thing name passed");
    }
    const action = "iot:AssumeRoleWithCertificate";
    const refusal = this.#options.access.refusal(device, action, roleAliasArn(alias));
    return refusal === undefined ? device : refuse(refusal, "Access Denied");
  }
}

function sessionContext({ certificateId, thingName }: Device): Record<string, string> {
  return {
    "credentials-iot:AwsCertificateId": certificateId,
    ...(thingName !== undefined && { "credentials-iot:ThingName": thingName }),
  };
}

function answer(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}
