import { afterEach, beforeEach, expect } from 'vitest';

/*
 * For every project with real sockets: what Node only complains about fails the test that was running. The gateway under
 * test often runs in this process, and a rejection nobody handles would end it in production.
 */

const complaints: string[] = [];

function complain(kind: string, reason: unknown): void {
  complaints.push(`${kind}: ${reason instanceof Error ? (reason.stack ?? reason.message) : String(reason)}`);
}

process.on('unhandledRejection', (reason) => complain('unhandled rejection', reason));
process.on('uncaughtExceptionMonitor', (error) => complain('uncaught exception', error));
process.on('warning', (warning) => {
  if (warning.name === 'MaxListenersExceededWarning') complain('listener leak', warning);
});

beforeEach(() => {
  complaints.length = 0;
});

afterEach(() => {
  expect(complaints, 'nothing may go unhandled while a test runs').toEqual([]);
});
