/** House rules as lint rules: where `Deno.Command` and `Deno.dlopen` may stand, and how error messages begin. */

/** The only doors to other programs and to native libraries. */
const DOORS: Readonly<Record<string, { readonly where: string; readonly door: RegExp }>> = {
  Command: { where: "internal/exec.ts", door: /(^|\/)internal\/exec\.ts$/ },
  dlopen: { where: "internal/ffi/", door: /(^|\/)internal\/ffi\// },
};

/** Tests, development tools and benches are no part of what is published. */
const EXEMPT = /_test\.ts$|(^|\/)(tests|dev|bench)\//;

const ERRORS = /^(Error|TypeError|RangeError|SyntaxError|AggregateError|\w*HoldfastError)$/;

/** The fixed beginning of a string or template; `undefined` for anything else, and where a value stands first. */
function beginning(node: Deno.lint.Node | undefined): string | undefined {
  if (node?.type === "Literal" && typeof node.value === "string") return node.value;
  const text = node?.type === "TemplateLiteral" ? node.quasis[0]?.cooked : undefined;
  return text === "" ? undefined : text;
}

function nameOf(node: Deno.lint.Node): string | undefined {
  return node.type === "Identifier" ? node.name : beginning(node);
}

/** `Deno` or `globalThis.Deno`. */
function isDeno(node: Deno.lint.Node | null | undefined): boolean {
  if (node?.type === "MemberExpression") return nameOf(node.property) === "Deno";
  return node?.type === "Identifier" && node.name === "Deno";
}

const plugin: Deno.lint.Plugin = {
  name: "holdfast",
  rules: {
    "doors": {
      create(context) {
        const path = context.filename.replaceAll("\\", "/");
        if (EXEMPT.test(path)) return {};
        const check = (node: Deno.lint.Node, name: string | undefined): void => {
          const rule = name === undefined || !Object.hasOwn(DOORS, name) ? undefined : DOORS[name];
          if (!rule || rule.door.test(path)) return;
          context.report({
            node,
            message: `Deno.${name} belongs in ${rule.where}`,
            hint: "Use what it exports",
          });
        };
        return {
          MemberExpression(node) {
            if (isDeno(node.object)) check(node, nameOf(node.property));
          },
          VariableDeclarator(node) {
            if (!isDeno(node.init) || node.id.type !== "ObjectPattern") return;
            for (const property of node.id.properties) {
              if (property.type === "Property") check(node, nameOf(property.key));
            }
          },
        };
      },
    },
    "error-messages": {
      create(context) {
        if (EXEMPT.test(context.filename.replaceAll("\\", "/"))) return {};
        return {
          NewExpression(node) {
            if (node.callee.type !== "Identifier" || !ERRORS.test(node.callee.name)) return;
            const text = beginning(node.arguments[0]);
            if (text === undefined || text.startsWith("Cannot ")) return;
            context.report({
              node,
              message: `Error messages begin with "Cannot <do what>: <why>", got "${text}"`,
            });
          },
        };
      },
    },
  },
};

// The linter takes the plugin as the default export of its file.
export default plugin;
