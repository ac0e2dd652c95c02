/** Splits `host` or `host:port`, as IoT's DescribeEndpoint gives them. */
export function endpointOf(endpoint: string, defaultPort: number): { host: string; port: number } {
  const url = new URL(`https://${endpoint}`);
  return { host: url.hostname, port: url.port ? Number(url.port) : defaultPort };
}
