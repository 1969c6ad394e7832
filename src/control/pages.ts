import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import type { Logger } from '../base/log.ts';
import { refuseOthers } from './api-server.ts';
import { NOT_MODIFIED, OK } from './http-status.ts';

/** One file of the pages, in memory. */
export interface Page {
  /** Where it is served: `/`, `/phone`, `/app.js`. */
  readonly path: string;
  readonly type: string;
  readonly body: Buffer;
  readonly etag: string;
}

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json',
  '.webmanifest': 'application/manifest+json',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
  '.wasm': 'application/wasm',
  '.txt': 'text/plain; charset=utf-8',
};

/** Hidden files are not pages, and `:` and `*` mean something in a route. */
const PLAIN_NAME = /^[\w-][\w.-]*$/;
/** The pages are a few hundred kB; a folder with more is not theirs. */
const MOST_BYTES = 16 * 1024 * 1024;
const MOST_FILES = 500;

/**
 * Nothing from elsewhere is loaded, and no other page may frame ours. `connect-src` names ws: and wss: for browsers to which 'self' is HTTP
 * alone; a key is needed there in any case.
 */
const CONTENT_SECURITY = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "style-src 'self'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self' ws: wss:",
  "media-src 'self' blob: data:",
  "worker-src 'self' blob:",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const HEADERS = {
  // Kept, and asked for each time: with the ETag that costs a round trip and no bytes.
  'cache-control': 'no-cache',
  'content-security-policy': CONTENT_SECURITY,
  'permissions-policy': 'microphone=(self), camera=(), geolocation=()',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'x-frame-options': 'DENY',
} as const;

/**
 * Reads the built pages: `index.html` becomes `/`, `phone.html` `/phone`. None when they were not built. Read once: what is served later is what
 * was there at the start, whatever a path says.
 */
export async function readPages(folder: string, log: Logger): Promise<readonly Page[]> {
  const pages: Page[] = [];
  let bytes = 0;
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  for (const entry of entries) {
    const file = join(entry.parentPath, entry.name);
    const type = TYPES[extname(entry.name)];
    if (!entry.isFile() || type === undefined || !PLAIN_NAME.test(entry.name)) continue;
    const body = await readFile(file);
    bytes += body.length;
    if (bytes > MOST_BYTES || pages.length >= MOST_FILES) {
      log.warn({ folder }, 'too many files among the pages');
      break;
    }
    const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 27)}"`;
    pages.push({ path: pathOf(file.slice(folder.length).replaceAll('\\', '/')), type, body, etag });
  }
  return pages;
}

function pathOf(file: string): string {
  const path = `/${file.replace(/^\/+/, '')}`;
  return path.endsWith('.html') ? path.slice(0, -'.html'.length).replace(/(^|\/)index$/, '$1') || '/' : path;
}

/** The pages and what belongs to them, for everybody: what they ask for needs trust or a key. */
export function addPages(app: FastifyInstance, pages: readonly Page[]): void {
  for (const { path, type, body, etag } of pages) {
    app.get(path, (request, reply) => {
      reply.headers({ ...HEADERS, etag });
      if (request.headers['if-none-match'] === etag) return reply.code(NOT_MODIFIED).send();
      return reply.code(OK).header('content-type', type).send(body);
    });
    refuseOthers(app, path, ['GET']);
  }
}
