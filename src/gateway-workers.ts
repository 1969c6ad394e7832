import { extname } from 'node:path';
import type { Config } from './config/config.ts';
import type { ClusterKeys } from './ownership/cluster-keys.ts';
import { forkChild } from './workers/child.ts';
import { WorkerPool, type WorkerPoolDeps } from './workers/worker-pool.ts';

/** The processes that carry calls, not yet started. They share the key of this process. */
export function createWorkerPool(deps: Omit<WorkerPoolDeps, 'spawn'>, config: Config, keys: ClusterKeys): WorkerPool {
  const { bind, workers, maxCalls, mediaTimeoutS, sessionMinutes, logLevel, rtp, agent, model, mcp, tools } = config;
  // Beside this module, compiled or not as it is.
  const entry = new URL(`./worker${extname(import.meta.url)}`, import.meta.url);
  return new WorkerPool(
    { ...deps, spawn: () => forkChild(entry) },
    {
      workers,
      key: keys.current,
      bind,
      rtpPorts: rtp.ports,
      maxCalls,
      mediaTimeoutMs: mediaTimeoutS * 1000,
      sessionMinutes,
      logLevel,
      agent,
      model,
      mcp,
      tools: { ...tools },
    },
  );
}
