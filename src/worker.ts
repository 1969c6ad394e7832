import { createLog } from './base/log.ts';
import { GatewayWorker } from './gateway-worker.ts';
import { type FromWorker, toWorker } from './workers/messages.ts';

/*
 * The program of a worker process. It has a parent, the front, and lives as long as the pipe to it; the log goes to standard error as the
 * front's does.
 */

const FAILED = 1;

let log = createLog('info', process.stderr);
let worker: Promise<GatewayWorker> | undefined;

function send(message: FromWorker): void {
  // What does not arrive is followed by the end of the pipe.
  if (process.connected) process.send?.(message, () => undefined);
}

function die(kind: string): (err: unknown) => void {
  return (err) => {
    log.fatal({ err }, kind);
    process.exit(FAILED);
  };
}

function receive(given: unknown): void {
  const read = toWorker.safeParse(given);
  if (!read.success) {
    log.error({ issues: read.error.issues.slice(0, 3) }, 'a message of the front does not fit');
    return;
  }
  const message = read.data;
  if (message.type !== 'start') {
    void worker?.then((running) => running.handle(message));
    return;
  }
  log = createLog(message.logLevel, process.stderr).child({ worker: message.worker });
  worker = GatewayWorker.start(message, log, send);
  worker.catch(die('a worker could not start'));
}

process.on('uncaughtException', die('uncaught exception'));
process.on('unhandledRejection', die('unhandled rejection'));
// A terminal sends its signals to all; the front says what is to be done.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => undefined);
process.stderr.on('error', () => undefined);
process.on('message', receive);
process.on('disconnect', () => {
  // Without the front there is nobody who could end these calls properly. What waits to be sent leaves with the exit.
  void Promise.resolve(worker)
    .then((running) => running?.close())
    .finally(() => process.exit(0));
});
