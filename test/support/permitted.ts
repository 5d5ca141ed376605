import * as Effect from "effect/Effect"
import { Forbidden, type KindId, type KubeFailure, type Ref, resourceName } from "#runtime"
import type { Rule } from "../../infra/rbac.ts"
import type { KubeApi } from "../../runtime/kube/api.ts"
import type { Cluster } from "./cluster.ts"

const review: KindId = {
  group: "authorization.k8s.io",
  version: "v1",
  kind: "SubjectAccessReview",
  plural: "subjectaccessreviews",
  namespaced: false
}

/** Whether the API server would let this user do that: it is asked, and goes by the roles that it has. */
export const mayDo = (
  cluster: Cluster,
  user: string,
  verb: string,
  kind: KindId,
  subresource = ""
): Effect.Effect<boolean, KubeFailure> => {
  const resourceAttributes = { verb, group: kind.group, resource: kind.plural, subresource }
  const body = {
    apiVersion: "authorization.k8s.io/v1",
    kind: review.kind,
    metadata: {},
    spec: { user, resourceAttributes }
  }
  return cluster.api
    .create(review, "", body, { manager: "test" })
    .pipe(Effect.map((answer) => (answer["status"] as { readonly allowed: boolean }).allowed))
}

/** Lets through what the real API server would let this user do; the rest is Forbidden, as it would be there. */
export const permitted =
  (cluster: Cluster, user: string) =>
  (api: KubeApi): KubeApi => {
    const asked =
      <Args extends ReadonlyArray<any>, A>(
        verb: string,
        send: (...args: Args) => Effect.Effect<A, KubeFailure>
      ) =>
      (...args: Args): Effect.Effect<A, KubeFailure> => {
        const kind: KindId = args[0]
        const subresource = (args[3] as { readonly subresource?: string } | undefined)?.subresource ?? ""
        const operation = `${verb} ${resourceName(kind)}${subresource === "" ? "" : `/${subresource}`}`
        const refused = new Forbidden({ operation, detail: `${user} is forbidden to` })
        return mayDo(cluster, user, verb, kind, subresource).pipe(
          Effect.flatMap((allowed) => (allowed ? send(...args) : Effect.fail(refused)))
        )
      }
    return {
      get: asked("get", (kind: KindId, ref: Ref) => api.get(kind, ref)),
      create: asked("create", api.create.bind(api)),
      mergePatch: asked("patch", api.mergePatch.bind(api)),
      apply: asked("patch", api.apply.bind(api)),
      remove: asked("delete", api.remove.bind(api))
    }
  }

/** A role and who has it: a user who has nothing else. */
export const roleFor = (user: string, rules: ReadonlyArray<Rule>): ReadonlyArray<object> => {
  const name = `extip-test-${user}`
  const apiVersion = "rbac.authorization.k8s.io/v1"
  return [
    { apiVersion, kind: "ClusterRole", metadata: { name }, rules },
    {
      apiVersion,
      kind: "ClusterRoleBinding",
      metadata: { name },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name },
      subjects: [{ kind: "User", name: user }]
    }
  ]
}
