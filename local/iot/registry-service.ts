import * as z from "zod";
import { AwsError, UnsupportedError } from "../core/aws-error.ts";
import {
  ACCOUNT_ID,
  type Authorizer,
  type Service,
  type ServiceRequest,
  type ServiceResponse,
} from "../core/service.ts";
import { VALIDITY } from "./certificate-authority.ts";
import { CertificateStatus, type Certificates, certificateIdOfArn } from "./certificates.ts";
import { policyArn } from "./policies.ts";
import { iotArn } from "./ports.ts";
import { type Route, readJson, readQuery, renderJsonError, route, validate } from "./rest-json.ts";
import { type Thing, ThingAttributes, ThingName, type Things } from "./things.ts";

/** Host and port of the servers that devices connect to. */
export interface Endpoints {
  mqtt: string;
  credentials: string;
}

export interface RegistryServiceOptions {
  authorizer: Authorizer;
  things: Things;
  certificates: Certificates;
  /** Throws while the servers are not listening. */
  endpoints: () => Endpoints;
}

interface Call extends RegistryServiceOptions {
  request: ServiceRequest;
  allow(action: string, resource: string): void;
}

/** The part of the AWS IoT control plane API that enrolling and revoking devices needs. */
export class RegistryService implements Service {
  readonly name = "iot";
  readonly #options: RegistryServiceOptions;

  constructor(options: RegistryServiceOptions) {
    this.#options = options;
  }

  async handle(request: ServiceRequest): Promise<ServiceResponse> {
    const { authorizer } = this.#options;
    const allow = (action: string, resource: string) =>
      authorizer.authorize(request.caller, { action: `iot:${action}`, resource });
    return route(ROUTES, request, { ...this.#options, request, allow });
  }

  renderError(error: unknown): ServiceResponse {
    return renderJsonError(error);
  }

  async close(): Promise<void> {}
}

const AttributePayload = z.strictObject({
  attributes: ThingAttributes.default({}),
  merge: z.boolean().default(false),
});
const Flag = z.stringbool({ truthy: ["true"], falsy: ["false"] });
const NoQuery = z.strictObject({});
const Page = z.strictObject({
  maxResults: z.coerce.number().int().min(1).max(250).default(250),
  nextToken: z.string().optional(),
});

const THING = "/things/(?<thing>[^/]+)";
const CERTIFICATE = "/certificates/(?<certificate>[0-9a-f]{64})";
const operation = (method: string, path: string, run: Route<Call>["run"]): Route<Call> => ({
  method,
  path: new RegExp(`^${path}$`),
  run,
});

const ROUTES: readonly Route<Call>[] = [
  operation("POST", THING, async ({ request, allow, things }, { thing }) => {
    const name = thingName(thing, "CreateThing", allow);
    const body = await readJson(request, z.strictObject({ attributePayload: AttributePayload.optional() }));
    const created = things.create(name, body.attributePayload?.attributes ?? {});
    return { thingName: created.name, thingArn: iotArn("thing", created.name), thingId: created.id };
  }),
  operation("GET", THING, async ({ allow, things }, { thing }) => {
    const found = things.describe(thingName(thing, "DescribeThing", allow));
    return { ...renderThing(found), defaultClientId: found.name, thingId: found.id };
  }),
  operation("PATCH", THING, async ({ request, allow, things }, { thing }) => {
    const name = thingName(thing, "UpdateThing", allow);
    const body = await readJson(
      request,
      z.strictObject({ attributePayload: AttributePayload, expectedVersion: z.int().optional() }),
    );
    const { attributePayload, expectedVersion } = body;
    things.update(name, { ...attributePayload, ...(expectedVersion !== undefined && { expectedVersion }) });
    return {};
  }),
  operation("DELETE", THING, async ({ request, allow, things }, { thing }) => {
    const name = thingName(thing, "DeleteThing", allow);
    const query = readQuery(request, z.strictObject({ expectedVersion: z.coerce.number().int().optional() }));
    things.delete(name, query.expectedVersion);
    return {};
  }),
  operation("GET", "/things", async ({ request, allow, things }) => {
    allow("ListThings", "*");
    const { items, nextToken } = page(things.list(), (thing) => thing.name, readQuery(request, Page));
    return { things: items.map(renderThing), nextToken };
  }),
  operation("PUT", `${THING}/principals`, async ({ request, allow, things }, { thing }) => {
    allow("AttachThingPrincipal", "*");
    const { thingPrincipalType } = readQuery(
      request,
      z.strictObject({ thingPrincipalType: z.string().optional() }),
    );
    if (thingPrincipalType === "EXCLUSIVE_THING") throw new UnsupportedError("exclusive things");
    things.attach(validate(ThingName, thing), principal(request));
    return {};
  }),
  operation("DELETE", `${THING}/principals`, async ({ request, allow, things }, { thing }) => {
    allow("DetachThingPrincipal", "*");
    things.detach(validate(ThingName, thing), principal(request));
    return {};
  }),
  operation("GET", `${THING}/principals`, async ({ request, allow, things }, { thing }) => {
    allow("ListThingPrincipals", "*");
    const { name } = things.describe(validate(ThingName, thing));
    const { items, nextToken } = page(things.principals(name), (arn) => arn, readQuery(request, Page));
    return { principals: items, nextToken };
  }),
  operation("POST", "/certificates", async ({ request, allow, certificates }) => {
    allow("CreateCertificateFromCsr", "*");
    const { setAsActive } = readQuery(request, z.strictObject({ setAsActive: Flag.default(false) }));
    const body = await readJson(request, z.strictObject({ certificateSigningRequest: z.string() }));
    const { id, pem } = await certificates.createFromCsr(body.certificateSigningRequest, setAsActive);
    // AWS returns only the certificate, because every system trusts its servers' issuer. This returns the
    // issuer too.
    return {
      certificateArn: iotArn("cert", id),
      certificateId: id,
      certificatePem: `${pem}\n${certificates.issuerPem}\n`,
    };
  }),
  operation("GET", CERTIFICATE, async ({ allow, certificates }, { certificate = "" }) => {
    allow("DescribeCertificate", iotArn("cert", certificate));
    const { id, pem, status, createdAt, changedAt } = certificates.describe(certificate);
    return {
      certificateDescription: {
        certificateArn: iotArn("cert", id),
        certificateId: id,
        certificatePem: pem,
        status,
        ownedBy: ACCOUNT_ID,
        certificateMode: "DEFAULT",
        creationDate: createdAt / 1000,
        lastModifiedDate: changedAt / 1000,
        validity: { notBefore: VALIDITY.notBefore / 1000, notAfter: VALIDITY.notAfter / 1000 },
      },
    };
  }),
  operation("PUT", CERTIFICATE, async ({ request, allow, certificates }, { certificate = "" }) => {
    allow("UpdateCertificate", iotArn("cert", certificate));
    const { newStatus } = readQuery(request, z.strictObject({ newStatus: CertificateStatus }));
    certificates.update(certificate, newStatus);
    return undefined;
  }),
  operation("DELETE", CERTIFICATE, async ({ request, allow, certificates }, { certificate = "" }) => {
    allow("DeleteCertificate", iotArn("cert", certificate));
    const { forceDelete } = readQuery(request, z.strictObject({ forceDelete: Flag.default(false) }));
    certificates.delete(certificate, forceDelete);
    return undefined;
  }),
  operation("PUT", "/target-policies/(?<policy>[^/]+)", async (call, { policy = "" }) => {
    call.certificates.attachPolicy(policy, await policyTarget(call, "AttachPolicy"));
    return undefined;
  }),
  operation("POST", "/target-policies/(?<policy>[^/]+)", async (call, { policy = "" }) => {
    call.certificates.detachPolicy(policy, await policyTarget(call, "DetachPolicy"));
    return undefined;
  }),
  operation("POST", "/attached-policies/(?<target>[^/]+)", async (call, { target = "" }) => {
    call.allow("ListAttachedPolicies", target);
    readQuery(call.request, z.strictObject({ recursive: Flag.optional(), pageSize: z.string().optional() }));
    const { id } = call.certificates.describe(certificateIdOfArn(target));
    const names = call.certificates.attachedPolicies(id);
    return { policies: names.map((policyName) => ({ policyName, policyArn: policyArn(policyName) })) };
  }),
  operation("GET", "/endpoint", async ({ request, allow, endpoints }) => {
    allow("DescribeEndpoint", "*");
    const { endpointType } = readQuery(request, z.strictObject({ endpointType: z.string().optional() }));
    if (endpointType === "iot:Data-ATS") return { endpointAddress: endpoints().mqtt };
    if (endpointType === "iot:CredentialProvider") return { endpointAddress: endpoints().credentials };
    throw new UnsupportedError(`the endpoint type ${endpointType ?? "iot:Data"}`);
  }),
];

function thingName(thing: string | undefined, action: string, allow: Call["allow"]): string {
  const name = validate(ThingName, thing);
  allow(action, iotArn("thing", name));
  return name;
}

function principal(request: ServiceRequest): string {
  const header = request.headers["x-amzn-principal"];
  return certificateIdOfArn(typeof header === "string" ? header : "");
}

async function policyTarget({ request, allow }: Call, action: string): Promise<string> {
  readQuery(request, NoQuery);
  const { target } = await readJson(request, z.strictObject({ target: z.string() }));
  allow(action, target);
  return certificateIdOfArn(target);
}

function renderThing(thing: Thing): Record<string, unknown> {
  const { name, attributes, version } = thing;
  return { thingName: name, thingArn: iotArn("thing", name), attributes, version };
}

/** The items after the one that the token names, and the next token if there are more. */
function page<T>(
  items: T[],
  key: (item: T) => string,
  { maxResults, nextToken }: z.output<typeof Page>,
): { items: T[]; nextToken?: string } {
  const rest = nextToken === undefined ? items : items.filter((item) => key(item) > nextToken);
  const shown = rest.slice(0, maxResults);
  const last = shown.at(-1);
  return { items: shown, ...(rest.length > shown.length && last !== undefined && { nextToken: key(last) }) };
}

/** The servers do not listen yet. */
export function notListening(): AwsError {
  return new AwsError("ServiceUnavailableException", "the device endpoints are not listening yet", 503);
}
