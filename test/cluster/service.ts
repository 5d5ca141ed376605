/** A Service that the pods of `web` serve. */
export const service = (name: string, spec: object, annotations: object = {}): string =>
  JSON.stringify({
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, annotations },
    spec: { selector: { app: "web" }, ports: [{ name: "http", port: 80, targetPort: 8080 }], ...spec }
  })

/** A pool of its own for a test, out of the LAN's addresses. */
export const pool = (name: string, cidr: string): string =>
  JSON.stringify({
    apiVersion: "ipcontroller.ext/v1",
    kind: "IpClaimPool",
    metadata: { name },
    spec: { cidr }
  })
