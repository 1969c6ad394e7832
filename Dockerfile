# Three stages: build with the compiler, install what runs, put both into a small image that is not root.
FROM node:20-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --include=dev --ignore-scripts --loglevel=error
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
COPY web ./web
COPY scripts/build-web.mjs ./scripts/
RUN npm run build

FROM node:20-slim AS packages
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --ignore-scripts --loglevel=error

FROM node:20-slim
# One arena of glibc for all threads: half the memory of a call (docs/decisions/memory.md).
ENV NODE_ENV=production MALLOC_ARENA_MAX=1 RINGDOWN_DATA=/data
WORKDIR /app
COPY --from=packages /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY package.json LICENSE ./
COPY prompts ./prompts
COPY sounds ./sounds
RUN mkdir /data && chown node:node /data
USER node
VOLUME /data
# RTP (16384-32767/udp) is not listed: `docker run -P` would publish 16384 ports. Use --network host, or a small --rtp-ports range.
EXPOSE 5060/udp 3478/udp 3478/tcp 8080/tcp
# The first SIGTERM drains: give it time (docker stop --time, stop_grace_period), at least --drain seconds.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.RINGDOWN_HTTP_PORT || 8080}/healthz`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# A small young generation: the garbage of packets is collected while it is in the cache (docs/decisions/memory.md).
ENTRYPOINT ["node", "--max-semi-space-size=4", "--enable-source-maps", "dist/main.js"]
