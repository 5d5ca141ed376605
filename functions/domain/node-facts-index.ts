import { type Change, defineIndex, type Kind } from "#runtime"
import { IpNode, Node } from "./kinds.ts"

/** What of a Node decides which addresses it may have. Most of its changes are its kubelet's heartbeat. */
const factsOfNode = ({ metadata, spec, status }: Node): string => {
  const network = status?.conditions?.find(({ type }) => type === "NetworkUnavailable")?.status
  return JSON.stringify([metadata.labels, spec, network])
}

/** One that says nothing is as none: it is made for each node that joins. */
const factsOfIpNode = ({ spec = {} }: IpNode): string | undefined =>
  Object.keys(spec).length === 0 ? undefined : JSON.stringify(spec)

/** Says once of each change of a Node or IpNode whether it is one that matters for where addresses may be. */
export class NodeFacts {
  /** Kind and name → its facts now */
  private readonly present = new Map<string, string | undefined>()
  /** Kind and name → its facts when somebody asked last */
  private readonly told = new Map<string, string | undefined>()

  apply({ kind, key, after }: Change): void {
    const facts = kind === IpNode ? factsOfIpNode : factsOfNode
    this.present.set(`${kind.kind} ${key}`, after === undefined ? undefined : facts(after as never))
  }

  /** Whether something that matters has changed since this was asked last; of what was never asked, nobody can say. */
  isNews(kind: Kind<any>, name: string): boolean {
    const key = `${kind.kind} ${name}`
    const now = this.present.get(key)
    if (this.told.has(key) && this.told.get(key) === now) return false
    this.told.set(key, now)
    return true
  }
}

export const nodeFactsIndex = defineIndex({
  name: "extip/node-facts",
  reads: [Node, IpNode],
  make: () => {
    const state = new NodeFacts()
    return {
      state,
      apply: (change: Change) => state.apply(change)
    }
  }
})
