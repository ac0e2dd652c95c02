import {
  AttachPolicyCommand,
  AttachThingPrincipalCommand,
  CertificateStatus,
  CreateCertificateFromCsrCommand,
  CreateThingCommand,
  DescribeEndpointCommand,
  InvalidRequestException,
  type IoTClient,
  UpdateCertificateCommand,
} from "@aws-sdk/client-iot";
import { InvalidInputError } from "#shared/errors.ts";
import type { DeviceCertificate, DeviceRegistry } from "../ports.ts";

/** Things and certificates of IoT Core. */
export class IotDeviceRegistry implements DeviceRegistry {
  readonly #client: IoTClient;

  constructor(client: IoTClient) {
    this.#client = client;
  }

  async addThing(agentId: string): Promise<void> {
    // IoT accepts the creation of a thing that already exists with the same attributes.
    await this.#client.send(new CreateThingCommand({ thingName: agentId }));
  }

  async certify(csr: string): Promise<DeviceCertificate> {
    try {
      const { certificateId, certificateArn, certificatePem } = await this.#client.send(
        new CreateCertificateFromCsrCommand({ certificateSigningRequest: csr, setAsActive: false }),
      );
      if (!certificateId || !certificateArn || !certificatePem)
        throw new Error("IoT returned no certificate");
      return { id: certificateId, arn: certificateArn, pem: certificatePem };
    } catch (error) {
      if (!(error instanceof InvalidRequestException)) throw error;
      throw new InvalidInputError([{ path: "csr", message: error.message }]);
    }
  }

  async bind(agentId: string, certificateArn: string, policyName: string): Promise<void> {
    await this.#client.send(new AttachPolicyCommand({ policyName, target: certificateArn }));
    await this.#client.send(
      new AttachThingPrincipalCommand({ thingName: agentId, principal: certificateArn }),
    );
  }

  activate(certificateId: string): Promise<void> {
    return this.#become(certificateId, CertificateStatus.ACTIVE);
  }

  revoke(certificateId: string): Promise<void> {
    return this.#become(certificateId, CertificateStatus.REVOKED);
  }

  async endpoints(): Promise<{ mqtt: string; credentials: string }> {
    const [mqtt, credentials] = await Promise.all([
      this.#endpoint("iot:Data-ATS"),
      this.#endpoint("iot:CredentialProvider"),
    ]);
    return { mqtt, credentials };
  }

  async #become(certificateId: string, newStatus: CertificateStatus): Promise<void> {
    await this.#client.send(new UpdateCertificateCommand({ certificateId, newStatus }));
  }

  async #endpoint(endpointType: string): Promise<string> {
    const { endpointAddress } = await this.#client.send(new DescribeEndpointCommand({ endpointType }));
    if (!endpointAddress) throw new Error(`IoT has no endpoint ${endpointType}`);
    return endpointAddress;
  }
}
