import { randomUUID } from "node:crypto";
import { join } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import type { Authorizer, Clock, LambdaInvoker, ResourceProvider, Roles, Service } from "../core/service.ts";
import { Broker } from "./broker.ts";
import { openBrokerDatabase } from "./broker-database.ts";
import { CertificateAuthority } from "./certificate-authority.ts";
import { Certificates } from "./certificates.ts";
import { CredentialsProvider } from "./credentials-provider.ts";
import { DataPlaneService } from "./data-plane-service.ts";
import { DeviceAccess } from "./device-access.ts";
import type { MessageFaults } from "./faults.ts";
import { Policies } from "./policies.ts";
import type { Log, OnRefused } from "./ports.ts";
import { openRegistryDatabase } from "./registry-database.ts";
import { type Endpoints, notListening, RegistryService } from "./registry-service.ts";
import { IotResources } from "./resources.ts";
import { Rules } from "./rules.ts";
import { Things } from "./things.ts";

export interface IotCoreOptions {
  /** Contains the authority's key, the registry and the sessions. Created if missing. */
  directory: string;
  clock: Clock;
  authorizer: Authorizer;
  roles: Roles;
  lambda: LambdaInvoker;
  log: Log;
  onRefused: OnRefused;
  newId?: () => string;
  /** The address to listen on. Default: 127.0.0.1. */
  host?: string;
  /** The name or address by which devices reach this machine. Default: localhost. */
  advertisedHost?: string;
  /**
   * 0, the default, chooses a free port at the first start and keeps it from then on, because devices
   * remember it.
   */
  mqttPort?: number;
  credentialsPort?: number;
  /** Called for each message that AWS charges for, with its size in bytes. */
  onMessage?: (bytes: number) => void;
  /** Test port; see faults.ts. */
  faults?: MessageFaults;
}

/**
 * AWS IoT Core of the embedded cloud. `open` it, let the templates provision their resources through
 * `provider`, then `start` it: from then on devices can connect.
 */
export class IotCore {
  readonly services: readonly Service[];
  readonly provider: ResourceProvider;
  /** The authority that devices must trust. */
  readonly certificateAuthorityPem: string;
  readonly #options: IotCoreOptions;
  readonly #databases: DatabaseSync[];
  readonly #registry: DatabaseSync;
  readonly #broker: Broker;
  readonly #credentials: CredentialsProvider;
  #endpoints: Endpoints | undefined;

  static async open(options: IotCoreOptions): Promise<IotCore> {
    return new IotCore(options, await CertificateAuthority.open(join(options.directory, "authority")));
  }

  private constructor(options: IotCoreOptions, authority: CertificateAuthority) {
    const { directory, clock, authorizer, newId = randomUUID, advertisedHost = "localhost" } = options;
    this.#options = options;
    this.certificateAuthorityPem = authority.certificatePem;
    const registry = openRegistryDatabase(directory);
    const brokerDatabase = openBrokerDatabase(directory);
    this.#registry = registry;
    this.#databases = [registry, brokerDatabase];
    const hosts = ["localhost", "127.0.0.1", "::1", advertisedHost];
    const policies = new Policies();
    const certificates = new Certificates({ database: registry, authority, policies, clock });
    const things = new Things({ database: registry, certificates, newId });
    const access = new DeviceAccess({ ...options, certificates, things, policies });
    const rules = new Rules(options);
    const resources = new IotResources({ policies, rules });
    this.provider = resources;
    const parts = { ...options, authority, certificates, things, access, rules, resources, newId, hosts };
    this.#broker = new Broker({ ...parts, database: brokerDatabase });
    this.#credentials = new CredentialsProvider(parts);
    this.services = [
      new RegistryService({ authorizer, things, certificates, endpoints: () => this.endpoints() }),
      new DataPlaneService({ authorizer, broker: this.#broker, newId }),
    ];
  }

  /** Starts the broker and the credentials provider. Rejects if a port is taken. */
  async start(): Promise<void> {
    const {
      host = "127.0.0.1",
      advertisedHost = "localhost",
      mqttPort = 0,
      credentialsPort = 0,
    } = this.#options;
    const listen = async (name: string, port: number, server: Broker | CredentialsProvider) => {
      const actual = await server.start(port || this.#rememberedPort(name), host);
      this.#rememberPort(name, actual);
      return `${advertisedHost.includes(":") ? `[${advertisedHost}]` : advertisedHost}:${actual}`;
    };
    this.#endpoints = {
      mqtt: await listen("mqtt-port", mqttPort, this.#broker),
      credentials: await listen("credentials-port", credentialsPort, this.#credentials),
    };
  }

  /** Where devices connect, as `host:port`; throws `ServiceUnavailableException` before the start. */
  endpoints(): Endpoints {
    if (!this.#endpoints) throw notListening();
    return this.#endpoints;
  }

  /**
   * Ends all connections and closes the files. Sessions, certificates and things survive until the next
   * start.
   */
  async close(): Promise<void> {
    await Promise.all([this.#broker.close(), this.#credentials.close()]);
    for (const database of this.#databases) database.close();
  }

  #rememberedPort(name: string): number {
    return Number(this.#registry.prepare("SELECT value FROM settings WHERE name = ?").get(name)?.value ?? 0);
  }

  #rememberPort(name: string, port: number): void {
    this.#registry
      .prepare("INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)")
      .run(name, String(port));
  }
}
