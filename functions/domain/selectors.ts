import type { LabelSelector } from "./kinds.ts"

type Labels = { readonly [name: string]: string }

/** Whether the labels satisfy a Kubernetes LabelSelector; an empty selector matches everything. */
export const matchesSelector = (selector: LabelSelector, labels: Labels): boolean =>
  Object.entries(selector.matchLabels ?? {}).every(([key, value]) => labels[key] === value) &&
  (selector.matchExpressions ?? []).every(({ key, operator, values = [] }) => {
    const value = labels[key]
    if (operator === "Exists") return value !== undefined
    if (operator === "DoesNotExist") return value === undefined
    const among = value !== undefined && values.includes(value)
    return operator === "In" ? among : !among
  })
