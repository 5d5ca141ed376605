import { spawn } from "node:child_process"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { IpClaim, IpClaimPool, IpNode } from "../../functions/domain/kinds.ts"
import type { KindId, Ref } from "../../runtime/Kind.ts"
import { openCluster } from "../../runtime/kube/access.ts"
import { collectionPath, type KubeApi, type RawObject } from "../../runtime/kube/api.ts"
import { call, httpApi } from "../../runtime/kube/http.ts"
import type { Shared } from "./parts.ts"
import { until } from "./until.ts"

export const repository = fileURLToPath(new URL("../..", import.meta.url))

/** An object as it comes from the API server; a test knows what it is looking at. */
export type Seen = RawObject & { readonly spec?: any; readonly status?: any; readonly metadata: any }

type Access = Effect.Success<ReturnType<typeof openCluster>>

interface NewObject {
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly [field: string]: unknown }
  readonly [field: string]: unknown
}

const text = async (stream: NodeJS.ReadableStream): Promise<string> => {
  let all = ""
  for await (const chunk of stream) all += String(chunk)
  return all
}

/** The API server as a user has it: kubectl, and single requests where kubectl would take too long. */
export class Cluster {
  readonly api: KubeApi
  readonly kubeconfig: string
  readonly #kubectl: string
  readonly #access: Access

  private constructor(shared: Pick<Shared, "kubeconfig" | "kubectl">, access: Access) {
    this.kubeconfig = shared.kubeconfig
    this.#kubectl = shared.kubectl
    this.#access = access
    this.api = httpApi(access)
  }

  static async open(shared: Pick<Shared, "kubeconfig" | "kubectl">): Promise<Cluster> {
    return new Cluster(shared, await Effect.runPromise(openCluster(shared.kubeconfig)))
  }

  get access() {
    return this.#access
  }

  /** Runs kubectl; what it prints, or an error with what it said. */
  async kubectl(args: string | ReadonlyArray<string>, input = ""): Promise<string> {
    const list = typeof args === "string" ? args.split(" ") : args
    const child = spawn(this.#kubectl, ["--kubeconfig", this.kubeconfig, ...list])
    child.stdin.end(input)
    const ended = new Promise<number | null>((resolve) => child.once("close", resolve))
    const [out, error, code] = await Promise.all([text(child.stdout), text(child.stderr), ended])
    if (code !== 0) throw new Error(`kubectl ${list.join(" ")}: ${error.trim()}`)
    return out.trim()
  }

  async applyCrds(): Promise<void> {
    await this.kubectl(["apply", "-f", join(repository, "infra/crds")])
    // To be Established is not enough, which is said before they are served: "storage is (re)initializing".
    const isServed = async () => {
      for (const kind of [IpClaimPool, IpClaim, IpNode]) await this.list(kind)
      return true
    }
    await until("the custom resources to be served", isServed, { seconds: 30 })
  }

  /** A namespace of this name; it stays, since nobody here ends namespaces. */
  async namespace(name: string): Promise<string> {
    const body = { apiVersion: "v1", kind: "Namespace", metadata: { name } }
    const kind = { group: "", version: "v1", kind: "Namespace", plural: "namespaces", namespaced: false }
    const made = await Effect.runPromise(Effect.result(this.api.create(kind, "", body, { manager: "test" })))
    if (Result.isFailure(made) && made.failure._tag !== "AlreadyExists") throw made.failure
    return name
  }

  create(kind: KindId, object: NewObject): Promise<Seen> {
    const apiVersion = kind.group === "" ? kind.version : `${kind.group}/${kind.version}`
    const body = { apiVersion, kind: kind.kind, ...object }
    return Effect.runPromise(
      this.api.create(kind, object.metadata.namespace ?? "", body, { manager: "test" })
    )
  }

  /** A JSON merge patch. */
  patch(kind: KindId, ref: Ref, patch: object, subresource: "" | "status" = ""): Promise<Seen> {
    return Effect.runPromise(this.api.mergePatch(kind, ref, patch, { manager: "test", subresource }))
  }

  delete(kind: KindId, ref: Ref): Promise<void> {
    return Effect.runPromise(Effect.asVoid(this.api.remove(kind, ref, {})))
  }

  /** The object as it is; `undefined` when there is none. */
  get(kind: KindId, ref: Ref): Promise<Seen | undefined> {
    const gone = (): undefined => undefined
    return Effect.runPromise(
      this.api.get(kind, ref).pipe(Effect.catchTag("NotFound", () => Effect.sync(gone)))
    )
  }

  /** All objects of a kind, in one namespace or in all. */
  async list(kind: KindId, namespace = "", query: Record<string, string> = {}): Promise<ReadonlyArray<Seen>> {
    const path = collectionPath(kind, namespace)
    const operation = `list ${kind.plural}`
    const answer = await Effect.runPromise(call(this.#access, { method: "GET", path, query, operation }))
    return (answer as { readonly items: ReadonlyArray<Seen> }).items
  }

  /** Deletes all objects of a kind in one request, in one namespace or everywhere. */
  async deleteAll(kind: KindId, namespace = "", query: Record<string, string> = {}): Promise<void> {
    const path = collectionPath(kind, namespace)
    const operation = `delete all ${kind.plural}`
    await Effect.runPromise(call(this.#access, { method: "DELETE", path, query, operation }))
  }

  /** Kubernetes Events on an object. */
  events(name: string, namespace: string): Promise<ReadonlyArray<Seen & Record<string, any>>> {
    const kind = { group: "", version: "v1", kind: "Event", plural: "events", namespaced: true }
    return this.list(kind, namespace, { fieldSelector: `involvedObject.name=${name}` })
  }

  close(): Promise<void> {
    return this.#access.close()
  }
}
