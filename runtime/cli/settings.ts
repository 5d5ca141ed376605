import * as Effect from "effect/Effect"
import { parseCidr } from "../../functions/domain/addresses.ts"
import type { AssignPolicy, Settings } from "../../functions/domain/settings.ts"
import { Misdeclared } from "../Function.ts"
import { commaList } from "./options.ts"

const cidrsOf = (flag: string, text: string) =>
  Effect.forEach(commaList(text), (entry) => {
    const cidr = parseCidr(entry)
    return cidr === undefined
      ? Effect.fail(
          new Misdeclared(`${flag}: "${entry}" is no CIDR; write it as in 192.168.0.0/24, without host bits`)
        )
      : Effect.succeed(cidr)
  })

/** What the flags decide for the functions. */
export const settingsOf = (flags: {
  readonly loadBalancers: "default" | "class"
  readonly externalCidrs: string
  readonly forbiddenCidrs: string
  readonly assignPolicy: AssignPolicy
  readonly conflictRetryMillis: number
}): Effect.Effect<Settings, Misdeclared> =>
  Effect.gen(function* () {
    return {
      loadBalancers: flags.loadBalancers,
      externalCidrs: yield* cidrsOf("--external-cidrs", flags.externalCidrs),
      forbiddenCidrs: yield* cidrsOf("--forbidden-cidrs", flags.forbiddenCidrs),
      assignPolicy: flags.assignPolicy,
      conflictRetryMillis: flags.conflictRetryMillis
    }
  })
