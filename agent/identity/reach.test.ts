import { expect, test } from "vitest";
import { reachFrom } from "./reach.ts";

const enrolment = {
  agentId: "agt_1",
  certificatePem: "certificate",
  mqttEndpoint: "abc-ats.iot.eu-central-1.amazonaws.com",
  credentialsEndpoint: "abc.credentials.iot.eu-central-1.amazonaws.com",
  roleAlias: "causeway-source-data",
  region: "eu-central-1",
  bucket: "bucket",
  kmsKeyId: "key",
  commandKeyPem: "public key",
  apiUrl: "https://api.example.com",
};

test("on AWS every address is the one that the control plane gives", () => {
  expect(reachFrom("https://api.example.com", enrolment)).toEqual({ enrolment });
});

test("an embedded cloud is reached on the host by which this machine knows it, under the name in its certificate", () => {
  const embedded = {
    ...enrolment,
    mqttEndpoint: "localhost:8883",
    credentialsEndpoint: "localhost:8443",
    apiUrl: "http://127.0.0.1:8080",
    awsEndpoint: "http://127.0.0.1:8080",
  };
  expect(reachFrom("http://10.0.2.2:8080/", embedded)).toEqual({
    enrolment: {
      ...embedded,
      apiUrl: "http://10.0.2.2:8080",
      awsEndpoint: "http://10.0.2.2:8080",
      mqttEndpoint: "10.0.2.2:8883",
      credentialsEndpoint: "10.0.2.2:8443",
    },
    tlsServerName: "localhost",
  });
});
