import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server';
import { z } from 'zod';
import { Child } from './child.ts';
import { freePort } from './endpoint.ts';

/** The reference's example server, `mcp-server-everything`, as a program: `node EVERYTHING stdio`. */
export const EVERYTHING = fileURLToPath(import.meta.resolve('@modelcontextprotocol/server-everything/dist/index.js'));

/** A server over HTTP on 127.0.0.1. */
export interface HttpServer {
  readonly url: string;
  stop(): Promise<void>;
}

/** The same over streamable HTTP. */
export async function serveEverything(): Promise<HttpServer> {
  const port = await freePort();
  const child = new Child(process.execPath, [EVERYTHING, 'streamableHttp'], { env: { PORT: String(port) } });
  await child.stderr.find((line) => line.includes('listening'), 15_000, 'the everything server');
  return {
    url: `http://127.0.0.1:${port}/mcp`,
    stop: async () => {
      await child.stop();
    },
  };
}

/** A server written with the official package, which can change its tools while it runs. */
export interface WrittenServer extends HttpServer {
  readonly headers: IncomingMessage['headers'][];
  /** From now on it has this tool, too, and says so. */
  add(name: string): void;
}

export async function serveWritten(): Promise<WrittenServer> {
  const names = ['add'];
  const headers: IncomingMessage['headers'][] = [];
  const handler = createMcpHandler(() => {
    const server = new McpServer({ name: 'written', version: '1' }, { capabilities: { tools: { listChanged: true } } });
    for (const name of names) {
      server.registerTool(
        name,
        { description: 'Adds two numbers.', inputSchema: z.object({ a: z.number(), b: z.number() }), annotations: { readOnlyHint: true } },
        ({ a, b }) => ({ content: [{ type: 'text', text: String(a + b) }] }),
      );
    }
    return server;
  });
  const served = await serveHttp((request, response) => {
    headers.push(request.headers);
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks);
      const asked = new Request(`http://127.0.0.1${request.url}`, {
        method: request.method ?? 'GET',
        headers: request.headers as Record<string, string>,
        ...(body.length > 0 ? { body } : {}),
      });
      void handler.fetch(asked).then(async (answer) => {
        response.writeHead(answer.status, Object.fromEntries(answer.headers));
        response.flushHeaders();
        for await (const chunk of answer.body ?? []) response.write(chunk);
        response.end();
      });
    });
  });
  return {
    ...served,
    headers,
    add: (name) => {
      names.push(name);
      handler.notify.toolsChanged();
    },
    stop: async () => {
      await handler.close();
      await served.stop();
    },
  };
}

/** Whatever a listener does, on 127.0.0.1. */
export async function serveHttp(listener: RequestListener): Promise<HttpServer> {
  const server: Server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`,
    stop: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
