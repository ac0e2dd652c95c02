import type { DatabaseSync } from "node:sqlite";
import * as z from "zod";
import { AwsError } from "../core/aws-error.ts";
import { ACCOUNT_ID, type Clock, REGION } from "../core/service.ts";
import type { CertificateAuthority } from "./certificate-authority.ts";
import { inTransaction } from "./database.ts";
import type { Policies } from "./policies.ts";

export const CertificateStatus = z.enum(["ACTIVE", "INACTIVE", "REVOKED"]);
export type CertificateStatus = z.infer<typeof CertificateStatus>;

export interface Certificate {
  id: string;
  pem: string;
  status: CertificateStatus;
  /** Milliseconds since 1970. */
  createdAt: number;
  changedAt: number;
}

const Row = z
  .object({
    id: z.string(),
    pem: z.string(),
    status: CertificateStatus,
    created_at: z.number(),
    changed_at: z.number(),
  })
  .transform((row) => ({
    id: row.id,
    pem: row.pem,
    status: row.status,
    createdAt: row.created_at,
    changedAt: row.changed_at,
  }));
const MAX_POLICIES = 10;

/** The certificates that the authority issued, their status, and the policies attached to them. */
export class Certificates {
  readonly #database: DatabaseSync;
  readonly #authority: CertificateAuthority;
  readonly #policies: Policies;
  readonly #clock: Clock;
  readonly #listeners: ((certificateId: string) => void)[] = [];

  constructor(options: {
    database: DatabaseSync;
    authority: CertificateAuthority;
    policies: Policies;
    clock: Clock;
  }) {
    this.#database = options.database;
    this.#authority = options.authority;
    this.#policies = options.policies;
    this.#clock = options.clock;
  }

  /** The authority's own certificate. */
  get issuerPem(): string {
    return this.#authority.certificatePem;
  }

  /** Calls back when a certificate stops being active, so that its sessions can be cut. */
  onDeactivated(listener: (certificateId: string) => void): void {
    this.#listeners.push(listener);
  }

  async createFromCsr(csrPem: string, setAsActive: boolean): Promise<Certificate> {
    const issued = await this.#authority.issueFromRequest(csrPem);
    const now = this.#clock.now();
    const certificate = {
      ...issued,
      status: setAsActive ? ("ACTIVE" as const) : ("INACTIVE" as const),
      createdAt: now,
      changedAt: now,
    };
    this.#database
      .prepare("INSERT INTO certificates (id, pem, status, created_at, changed_at) VALUES (?, ?, ?, ?, ?)")
      .run(certificate.id, certificate.pem, certificate.status, now, now);
    return certificate;
  }

  find(id: string): Certificate | undefined {
    const row = this.#database.prepare("SELECT * FROM certificates WHERE id = ?").get(id);
    return row && Row.parse(row);
  }

  describe(id: string): Certificate {
    const certificate = this.find(id);
    if (!certificate) throw new AwsError("ResourceNotFoundException", `there is no certificate ${id}`, 404);
    return certificate;
  }

  isActive(id: string): boolean {
    const row = this.#database.prepare("SELECT status FROM certificates WHERE id = ?").get(id);
    return row?.status === "ACTIVE";
  }

  /** A revoked certificate stays revoked. */
  update(id: string, status: CertificateStatus): void {
    const certificate = this.describe(id);
    if (certificate.status === "REVOKED" && status !== "REVOKED") {
      throw new AwsError("CertificateStateException", `certificate ${id} is permanently revoked`, 406);
    }
    this.#database
      .prepare("UPDATE certificates SET status = ?, changed_at = ? WHERE id = ?")
      .run(status, this.#clock.now(), id);
    if (status !== "ACTIVE") for (const listener of this.#listeners) listener(id);
  }

  /**
   * Deletes a certificate that is inactive and attached to nothing. With `force` it can have attached
   * policies.
   */
  delete(id: string, force: boolean): void {
    const certificate = this.describe(id);
    if (certificate.status === "ACTIVE") {
      throw new AwsError("CertificateStateException", `certificate ${id} is active`, 406);
    }
    inTransaction(this.#database, () => {
      const thing = this.#database
        .prepare("SELECT thing FROM thing_principals WHERE certificate_id = ?")
        .get(id);
      if (thing) {
        throw new AwsError(
          "DeleteConflictException",
          `certificate ${id} is attached to thing ${thing.thing}`,
          409,
        );
      }
      if (!force && this.attachedPolicies(id).length > 0) {
        throw new AwsError("DeleteConflictException", `certificate ${id} has policies attached`, 409);
      }
      this.#database.prepare("DELETE FROM policy_attachments WHERE certificate_id = ?").run(id);
      this.#database.prepare("DELETE FROM certificates WHERE id = ?").run(id);
    });
  }

  attachPolicy(policy: string, certificateId: string): void {
    this.#policies.describe(policy);
    this.describe(certificateId);
    const attached = this.attachedPolicies(certificateId);
    if (attached.includes(policy)) return;
    if (attached.length >= MAX_POLICIES) {
      throw new AwsError("LimitExceededException", `a certificate has at most ${MAX_POLICIES} policies`, 410);
    }
    this.#database
      .prepare("INSERT INTO policy_attachments (policy, certificate_id) VALUES (?, ?)")
      .run(policy, certificateId);
  }

  detachPolicy(policy: string, certificateId: string): void {
    this.describe(certificateId);
    this.#database
      .prepare("DELETE FROM policy_attachments WHERE policy = ? AND certificate_id = ?")
      .run(policy, certificateId);
  }

  /** Names of the policies attached to the certificate, even if the templates no longer define them. */
  attachedPolicies(certificateId: string): string[] {
    return this.#database
      .prepare("SELECT policy FROM policy_attachments WHERE certificate_id = ? ORDER BY policy")
      .all(certificateId)
      .map((row) => String(row.policy));
  }
}

const CERTIFICATE_ARN = new RegExp(`^arn:aws:iot:${REGION}:${ACCOUNT_ID}:cert/([0-9a-f]{64})$`);

/** The id in a certificate's ARN; throws `InvalidRequestException` for anything else. */
export function certificateIdOfArn(arn: string): string {
  const id = CERTIFICATE_ARN.exec(arn)?.[1];
  if (!id)
    throw new AwsError("InvalidRequestException", `${arn} is not the ARN of a certificate of this cloud`);
  return id;
}
