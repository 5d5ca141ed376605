import type { EndpointSlice } from "./kinds.ts"

/** Nodes with an endpoint that takes new connections, and those whose endpoints terminate but still serve. */
interface NodesOfSlice {
  readonly ready: ReadonlyArray<string>
  readonly terminating: ReadonlyArray<string>
}

/** `namespace/name` of the Service that a slice belongs to; `undefined` for one that belongs to none. */
export const serviceKeyOfSlice = (slice: EndpointSlice): string | undefined => {
  const name = slice.metadata.labels?.["kubernetes.io/service-name"]
  return name === undefined ? undefined : `${slice.metadata.namespace ?? ""}/${name}`
}

/** A condition that is left out is to be read as `ready` and `serving`, and not `terminating` (EndpointConditions, v1). */
const nodesOf = (slice: EndpointSlice): NodesOfSlice => {
  const ready = new Set<string>()
  const terminating = new Set<string>()
  for (const { nodeName, conditions = {} } of slice.endpoints ?? []) {
    if (nodeName === undefined || conditions.serving === false) continue
    if (conditions.terminating === true) terminating.add(nodeName)
    else if (conditions.ready !== false) ready.add(nodeName)
  }
  return { ready: [...ready], terminating: [...terminating] }
}

/** On which nodes each Service has endpoints, kept up to date slice by slice. */
export class LocalEndpoints {
  /** `namespace/name` of a Service → `namespace/name` of a slice → its nodes */
  private readonly slices = new Map<string, Map<string, NodesOfSlice>>()
  /** `namespace/name` of a Service → the nodes, once somebody has asked for them */
  private readonly answers = new Map<string, ReadonlySet<string>>()

  apply(key: string, before: EndpointSlice | undefined, after: EndpointSlice | undefined): void {
    const [was, is] = [before, after].map((slice) => slice && serviceKeyOfSlice(slice))
    if (was !== undefined && was !== is) this.forget(was, key)
    if (is === undefined || after === undefined) return
    this.answers.delete(is)
    this.slices.set(is, (this.slices.get(is) ?? new Map()).set(key, nodesOf(after)))
  }

  /**
   * The nodes on which the Service's endpoints are ready; where there is none at all, those on which they terminate but
   * still serve, as kube-proxy has it (KEP-1669).
   */
  nodesOf(service: string): ReadonlySet<string> {
    const answered = this.answers.get(service)
    if (answered !== undefined) return answered
    const slices = [...(this.slices.get(service)?.values() ?? [])]
    const ready = slices.flatMap((slice) => slice.ready)
    const nodes = new Set(ready.length > 0 ? ready : slices.flatMap((slice) => slice.terminating))
    this.answers.set(service, nodes)
    return nodes
  }

  private forget(service: string, key: string): void {
    this.answers.delete(service)
    const slices = this.slices.get(service)
    slices?.delete(key)
    if (slices?.size === 0) this.slices.delete(service)
  }
}
