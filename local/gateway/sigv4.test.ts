import { expect, test } from "vitest";
import { parseAuthorization, type SignableRequest, signingKey, verifySignature } from "./sigv4.ts";

/** From the examples that AWS documents for Signature Version 4 and for S3. */
const EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

const suite = {
  secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
  date: "20150830T123600Z",
  authorization: (signature: string) =>
    `AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, Signature=${signature}`,
  headers: { host: ["example.amazonaws.com"], "x-amz-date": ["20150830T123600Z"] },
};

const s3 = {
  secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
  date: "20130524T000000Z",
  authorization: (signedHeaders: string, signature: string) =>
    `AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=${signedHeaders},Signature=${signature}`,
  headers: {
    host: ["examplebucket.s3.amazonaws.com"],
    range: ["bytes=0-9"],
    "x-amz-content-sha256": [EMPTY],
    "x-amz-date": ["20130524T000000Z"],
  },
};

function verify(request: SignableRequest, header: string, secret: string, date: string): void {
  const authorization = parseAuthorization(header);
  const key = signingKey(secret, authorization);
  verifySignature(request, authorization, { key, date, payloadHash: EMPTY });
}

const VANILLA = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";
const vanilla: SignableRequest = { method: "GET", target: "/", headers: suite.headers };

test("the documented vanilla request verifies", () => {
  verify(vanilla, suite.authorization(VANILLA), suite.secret, suite.date);
});

test("query parameters are verified in sorted order", () => {
  const signature = "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500";
  const request = { ...vanilla, target: "/?Param2=value2&Param1=value1" };
  verify(request, suite.authorization(signature), suite.secret, suite.date);
});

test("the documented S3 object request verifies", () => {
  const signature = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41";
  const header = s3.authorization("host;range;x-amz-content-sha256;x-amz-date", signature);
  verify({ method: "GET", target: "/test.txt", headers: s3.headers }, header, s3.secret, s3.date);
});

test("the documented S3 list request verifies", () => {
  const signature = "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7";
  const header = s3.authorization("host;x-amz-content-sha256;x-amz-date", signature);
  const request = { method: "GET", target: "/?max-keys=2&prefix=J", headers: s3.headers };
  verify(request, header, s3.secret, s3.date);
});

test.each([
  ["another method", { ...vanilla, method: "DELETE" }],
  ["another path", { ...vanilla, target: "/other" }],
  ["an added query parameter", { ...vanilla, target: "/?delete" }],
  ["another host", { ...vanilla, headers: { ...suite.headers, host: ["evil.example"] } }],
  [
    "a signed header twice",
    { ...vanilla, headers: { ...suite.headers, host: ["example.amazonaws.com", "b"] } },
  ],
])("a signature does not fit %s", (_, request) => {
  expect(() => verify(request, suite.authorization(VANILLA), suite.secret, suite.date)).toThrow(
    expect.objectContaining({ code: "InvalidSignatureException" }),
  );
});

test.each([
  "AWS4-HMAC-SHA256 Credential=A/20150830/us-east-1/service, SignedHeaders=host, Signature=00",
  `AWS4-HMAC-SHA256 Credential=A/20150830/us-east-1/service/aws4_request, Signature=${VANILLA}`,
  "AWS4-HMAC-SHA256 Credential=A/20150830/us-east-1/service/aws4_request, SignedHeaders=host, Signature=zz",
])("an incomplete Authorization header is refused: %s", (header) => {
  expect(() => parseAuthorization(header)).toThrow(
    expect.objectContaining({ code: "IncompleteSignatureException" }),
  );
});
