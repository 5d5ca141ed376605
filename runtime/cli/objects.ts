import * as Effect from "effect/Effect"
import { Misdeclared } from "../Function.ts"
import { type Kind, resourceName } from "../Kind.ts"
import type { Wanted } from "../trace/collect.ts"

const shortNames: Readonly<Record<string, string>> = {
  svc: "services",
  ns: "namespaces",
  no: "nodes",
  ippool: "ipclaimpools",
  ipc: "ipclaims",
  ipn: "ipnodes"
}

/**
 * Reads `service/default/web`, `svc/default/web`, `ipclaim/192-168-0-249`: a kind in any of its names, the namespace
 * where the kind has one, and the name.
 */
export const parseObject = (
  kinds: ReadonlyArray<Kind<any>>,
  text: string
): Effect.Effect<Wanted & { readonly kind: Kind<any> }, Misdeclared> =>
  Effect.suspend(() => {
    const [type, ...rest] = text.split("/")
    const wanted = (type ?? "").toLowerCase()
    const kind = kinds.find((candidate) =>
      [candidate.kind.toLowerCase(), candidate.plural, resourceName(candidate), shortNames[wanted]].some(
        (name) =>
          name !== undefined &&
          (name === wanted || (name === shortNames[wanted] && candidate.plural === name))
      )
    )
    const names = kinds.map((candidate) => candidate.kind.toLowerCase()).join(", ")
    if (kind === undefined) {
      return Effect.fail(new Misdeclared(`"${text}": there is no kind "${type}"; there are ${names}`))
    }
    const [first, second] = rest
    if (kind.namespaced ? rest.length !== 2 : rest.length !== 1) {
      const right = kind.namespaced ? `${type}/NAMESPACE/NAME` : `${type}/NAME`
      return Effect.fail(new Misdeclared(`"${text}": write ${right}`))
    }
    return Effect.succeed({
      kind,
      ref: kind.namespaced ? { namespace: first!, name: second! } : { namespace: "", name: first! }
    })
  })
