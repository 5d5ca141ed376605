import { type FunctionDefinition, resourceName } from "#runtime"
import { describeNeed } from "../runtime/Needs.ts"
import { bridgeRules, hostRules, type Rule } from "./rbac.ts"

const said = ({ apiGroups, resources, verbs }: Rule): string => {
  const [group = ""] = apiGroups
  const names = resources.map((resource) => {
    const [plural = "", subresource] = resource.split("/")
    const name = resourceName({ group, version: "v1", kind: plural, plural, namespaced: false })
    return `\`${subresource === undefined ? name : `${name}/${subresource}`}\``
  })
  return `${verbs.join(", ")}: ${names.join(", ")}`
}

const row = (...cells: ReadonlyArray<string>) => `| ${cells.join(" | ")} |`

/** What each identity may do in Kubernetes, and what each function needs of that, as Markdown. */
export const privileges = (functions: ReadonlyArray<FunctionDefinition<any>>): string => {
  const needsOf = ({ needs }: FunctionDefinition<any>) =>
    [...new Set(needs.filter(({ verb }) => verb !== "watch").map(describeNeed))].map((need) => `\`${need}\``)
  return [
    row("account", "in Kubernetes, in all namespaces"),
    row("---", "---"),
    row("`extip-bridge`", bridgeRules(functions).map(said).join("<br>")),
    row("`extip-functions`", hostRules(functions).map(said).join("<br>")),
    row("`extip-node`, `extip-nats`", "nothing, and no token is mounted"),
    "",
    row("function", "asks the API server to"),
    row("---", "---"),
    ...functions.map((fn) => row(`\`${fn.name}\``, needsOf(fn).join(", ")))
  ].join("\n")
}

const markers = /(<!-- privileges: npm run generate -->\n)[\s\S]*?(<!-- \/privileges -->)/

/** The README with the list as it is now. */
export const withPrivileges = (readme: string, functions: ReadonlyArray<FunctionDefinition<any>>): string => {
  if (!markers.test(readme)) throw new Error("README.md has no place for the privileges")
  return readme.replace(
    markers,
    (_, begin: string, end: string) => `${begin}${privileges(functions)}\n${end}`
  )
}
