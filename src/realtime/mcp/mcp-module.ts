export type McpModule = typeof import('@modelcontextprotocol/client') & {
  /** The variables of ours that any program needs: PATH, HOME and the like. */
  readonly getDefaultEnvironment: () => Record<string, string>;
};

let loading: Promise<McpModule> | undefined;

/** The client library, loaded when the first server is spoken to: most gateways have none, and it takes 100 ms and 25 MB. */
export function loadMcp(): Promise<McpModule> {
  loading ??= Promise.all([import('@modelcontextprotocol/client'), import('@modelcontextprotocol/client/stdio')]).then(
    ([client, { getDefaultEnvironment }]) => ({ ...client, getDefaultEnvironment }),
  );
  return loading;
}
