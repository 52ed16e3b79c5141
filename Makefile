# What people type. Everything else is in the scripts and in cargo.
CARGO ?= cargo
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
MARU := target/release/maru
DATA ?= /var/lib/maru

.PHONY: help build console console-check demo down test check unit system pdf-test bench clean toolchain packages test-packages

help:
	@echo "make demo    build Maru and the sample shop, run it, show that it answers (make down stops it)"
	@echo "make console build the console's page into console/dist, which cargo takes into the binary"
	@echo "make test    all checks and tests"
	@echo "make check   formatting, lints, documents, the house's rules"
	@echo "make pdf-test the tests of PDF documents, a feature of its own"
	@echo "make bench   side by side with the peers"

toolchain:
	@command -v $(CARGO) > /dev/null || { echo "Rust is missing; run: curl -sSf https://sh.rustup.rs | sh -s -- -y"; exit 1; }

packages: toolchain
	@tools/packages cc=gcc nft=nftables curl=curl

# The page is built when its sources are newer; cargo alone takes what is in console/dist and never runs Node.
CONSOLE_SOURCES = $(shell find console/src console/public console/index.html console/vite.config.ts console/tsconfig.json console/package.json -type f)

console: console/dist/index.html

console/node_modules/.package-lock.json: console/package-lock.json
	@tools/node
	cd console && npm ci --no-audit --no-fund
	@touch $@

console/dist/index.html: console/node_modules/.package-lock.json $(CONSOLE_SOURCES)
	@tools/node
	cd console && npm run build
	@touch $@

# Types, lints, texts and parts of the page.
console-check: console
	cd console && npm run check && npm test

build: packages console
	$(CARGO) build --release --locked -p maru -p shop-catalog
	@mkdir -p examples/shop/build && cp target/release/shop-catalog examples/shop/build/

demo: build
	$(SUDO) $(MARU) --data $(DATA) demo --shop examples/shop

down:
	$(SUDO) $(MARU) --data $(DATA) down

# What the tests use besides: clients, peers and a base image.
test-packages: packages
	@tools/packages busybox=busybox-static dig=dnsutils git=git skopeo=skopeo promtool=prometheus prometheus-node-exporter=prometheus-node-exporter prometheus-alertmanager=prometheus-alertmanager aiosmtpd=python3-aiosmtpd \
	  soffice=libreoffice-writer-nogui soffice=libreoffice-calc-nogui pdftotext=poppler-utils chromium=chromium

check: toolchain console console-check
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked --quiet
	$(CARGO) xtask tidy
	@tools/texts

unit: test-packages console
	python=$$(tools/python-readers); oracles=$$(tools/python-oracles); sarif=$$(tools/sarif-schema); \
	  env $${python:+MARU_PYTHON=$$python} $${sarif:+MARU_SARIF_SCHEMA=$$sarif} $${oracles:+MARU_ORACLES=$$oracles MARU_ORACLES_MODELS=1000} \
	  $(CARGO) test --workspace --locked --no-fail-fast --exclude maru-tests --exclude maru-benches

system: test-packages console
	$(CARGO) build --locked -p maru -p shop-catalog
	old=$$(tools/old-kubectl); python=$$(tools/python-client); readers=$$(tools/python-readers); \
	  env $${old:+MARU_KUBECTL_OLD=$$old} $${python:+MARU_PYTHON_CLIENT=$$python} $${readers:+MARU_PYTHON=$$readers} \
	  $(CARGO) test --locked --no-fail-fast -p maru-tests

test: check unit system

# PDF is a feature: some 300 crates more, so its tests are a step of their own.
pdf-test: test-packages
	$(CARGO) test --locked -p maru-documents --features pdf

bench: build
	$(CARGO) bench --locked -p maru-benches

clean:
	$(CARGO) clean
	rm -rf examples/shop/build
