// The X.509 library uses decorators and needs this import first.
import "reflect-metadata";
import { createHash, type webcrypto } from "node:crypto";
import { mkdir, open, readFile, rename } from "node:fs/promises";
import { isIP } from "node:net";
import { join } from "node:path";
import * as x509 from "@peculiar/x509";
import { AwsError } from "../core/aws-error.ts";

const EC_P256 = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
// TLS checks validity by the machine's clock, which can differ from the injected one, so neither end is
// "now".
const NOT_BEFORE = new Date(Date.UTC(2020, 0, 1));
const NOT_AFTER = new Date(Date.UTC(2049, 11, 31, 23, 59, 59));
const AUTHORITY_NAME = "O=Embedded cloud, CN=Embedded cloud device authority";
const MAX_CSR_CHARACTERS = 4096;

export interface IssuedCertificate {
  /** SHA-256 of the certificate in hexadecimal. AWS uses the same id. */
  id: string;
  pem: string;
}

/**
 * The authority that issues device and server certificates. Its key is created once and never leaves its
 * folder.
 */
export class CertificateAuthority {
  /** The certificate that devices trust. */
  readonly certificatePem: string;
  readonly #key: webcrypto.CryptoKey;
  readonly #certificate: x509.X509Certificate;

  private constructor(key: webcrypto.CryptoKey, certificate: x509.X509Certificate) {
    this.#key = key;
    this.#certificate = certificate;
    this.certificatePem = certificate.toString("pem");
  }

  static async open(directory: string): Promise<CertificateAuthority> {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const keyPem = await readOrCreate(join(directory, "authority-key.pem"), 0o600, createKeyPem);
    const keys = await importKeyPair(keyPem);
    const certificatePem = await readOrCreate(join(directory, "authority.pem"), 0o644, async () =>
      (await selfSign(keys)).toString("pem"),
    );
    return new CertificateAuthority(keys.privateKey, new x509.X509Certificate(certificatePem));
  }

  /**
   * Issues a client certificate for the request's key and subject. Rejects with `InvalidRequestException`.
   */
  async issueFromRequest(csrPem: string): Promise<IssuedCertificate> {
    const request = parseRequest(csrPem);
    const algorithm = request.publicKey.algorithm as webcrypto.EcKeyAlgorithm;
    if (algorithm.name !== "ECDSA" || algorithm.namedCurve !== "P-256") {
      throw invalidRequest("the key of the certificate signing request is not an EC key on P-256");
    }
    const genuine = await request.verify().catch(() => false);
    if (!genuine) throw invalidRequest("the certificate signing request is not signed by its own key");
    // For client authentication only: both sides trust the same authority, so a device must not be able to
    // pose as the broker.
    const certificate = await this.#issue(request.subject, request.publicKey, [
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth]),
    ]);
    return { id: certificateId(Buffer.from(certificate.rawData)), pem: certificate.toString("pem") };
  }

  /** Creates a new key and certificate for a TLS server with these names and addresses. */
  async issueServer(hosts: string[]): Promise<{ key: string; cert: string }> {
    const keys = await crypto.subtle.generateKey(EC_P256, true, ["sign", "verify"]);
    const names = [...new Set(hosts)].map(
      (host): x509.JsonGeneralName => ({ type: isIP(host) ? "ip" : "dns", value: host }),
    );
    const certificate = await this.#issue("CN=Embedded cloud", keys.publicKey, [
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(names),
    ]);
    return { key: await exportKeyPem(keys.privateKey), cert: certificate.toString("pem") };
  }

  async #issue(subject: string, publicKey: x509.PublicKeyType, extensions: x509.Extension[]) {
    return x509.X509CertificateGenerator.create({
      serialNumber: Buffer.from(crypto.getRandomValues(new Uint8Array(16))).toString("hex"),
      subject,
      issuer: this.#certificate.subject,
      notBefore: NOT_BEFORE,
      notAfter: NOT_AFTER,
      signingKey: this.#key,
      publicKey,
      signingAlgorithm: EC_P256,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        await x509.SubjectKeyIdentifierExtension.create(publicKey),
        await x509.AuthorityKeyIdentifierExtension.create(this.#certificate.publicKey),
        ...extensions,
      ],
    });
  }
}

/** The validity period of every certificate that the authority issues. */
export const VALIDITY = { notBefore: NOT_BEFORE.getTime(), notAfter: NOT_AFTER.getTime() };

/** The id of a certificate in DER form. */
export function certificateId(der: Buffer): string {
  return createHash("sha256").update(der).digest("hex");
}

function parseRequest(csrPem: string): x509.Pkcs10CertificateRequest {
  if (csrPem.length > MAX_CSR_CHARACTERS) {
    throw invalidRequest(`the certificate signing request is longer than ${MAX_CSR_CHARACTERS} characters`);
  }
  // The parser accepts any label.
  if (!csrPem.includes("-----BEGIN CERTIFICATE REQUEST-----")) {
    throw invalidRequest("the certificate signing request is not PKCS #10 in PEM form");
  }
  try {
    return new x509.Pkcs10CertificateRequest(csrPem);
  } catch (error) {
    throw invalidRequest("the certificate signing request is not PKCS #10 in PEM form", error);
  }
}

function invalidRequest(message: string, cause?: unknown): AwsError {
  return new AwsError("InvalidRequestException", message, 400, { cause });
}

async function selfSign(keys: webcrypto.CryptoKeyPair): Promise<x509.X509Certificate> {
  return x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: "01",
    name: AUTHORITY_NAME,
    notBefore: NOT_BEFORE,
    notAfter: NOT_AFTER,
    keys,
    signingAlgorithm: EC_P256,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
}

async function createKeyPem(): Promise<string> {
  const keys = await crypto.subtle.generateKey(EC_P256, true, ["sign", "verify"]);
  return exportKeyPem(keys.privateKey);
}

async function exportKeyPem(key: webcrypto.CryptoKey): Promise<string> {
  return x509.PemConverter.encode(await crypto.subtle.exportKey("pkcs8", key), "PRIVATE KEY");
}

async function importKeyPair(keyPem: string): Promise<webcrypto.CryptoKeyPair> {
  const der = x509.PemConverter.decodeFirst(keyPem);
  const privateKey = await crypto.subtle.importKey("pkcs8", der, EC_P256, true, ["sign"]);
  const { kty, crv, x, y } = await crypto.subtle.exportKey("jwk", privateKey);
  const publicKey = await crypto.subtle.importKey("jwk", { kty, crv, x, y }, EC_P256, true, ["verify"]);
  return { privateKey, publicKey };
}

/** Returns the file's text. Creates the file atomically, so a crash never leaves a partial key. */
async function readOrCreate(path: string, mode: number, create: () => Promise<string>): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  const text = await create();
  const file = await open(`${path}.new`, "w", mode);
  try {
    await file.writeFile(text);
    await file.chmod(mode);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.new`, path);
  return text;
}
