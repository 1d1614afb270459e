# Everything runs through uv, which builds the environment on first use.
.PHONY: setup format lint types quick test native sanitize mypyc distributions scenarios alike test-compat soak soak-calls quality bench demo clients events schema templates docs protocol screenshots

setup:            ## build the environment with every member, extra and group
	uv sync --all-packages --all-extras --all-groups

format:           ## rewrite the code in our format
	uv run ruff format .
	uv run ruff check --fix .

lint:             ## format, style and the layers of the floor plan
	uv run ruff format --check .
	uv run ruff check .
	uv run lint-imports

types:            ## mypy, strict
	uv run mypy

quick: lint types ## the inner loop: style, layers, types, and the tests that wait for nothing
	uv run pytest -q -n 2 --dist worksteal tests/audio tests/turns tests/playout tests/hearing tests/protocol \
		tests/pipeline tests/backends tests/cascade tests/tools tests/config tests/observe tests/testing

test:             ## every test but those that need the official SDK, in two processes: they mostly wait
	uv run pytest -n 2 --dist worksteal

native:           ## compile fishjam_agents/audio/native, as `uv sync` does where there is a compiler, and show its warnings
	uv run python hatch_build.py

sanitize:         ## the tests of what is compiled, with AddressSanitizer and UndefinedBehaviorSanitizer (gcc)
	bash .ci/sanitize

mypyc:            ## build the wheel in which mypyc compiled what runs for every frame, and run tests on it
	bash .ci/mypyc

scenarios:        ## the calls of examples/scenarios, in memory and in real time
	uv run python -m fishjam_agents simulate examples/parrot/config.yaml examples/scenarios \
		--fast --out out/scenarios/fast
	uv run python -m fishjam_agents simulate examples/parrot/config.yaml examples/scenarios/extras \
		--fast --out out/scenarios/extras
	uv run python -m fishjam_agents simulate examples/parrot/config.yaml examples/scenarios \
		--out out/scenarios/real

alike:            ## after `make scenarios`: whether they go alike in real time; needs an idle machine
	uv run python -m fishjam_agents simulate examples/parrot/config.yaml examples/scenarios \
		--like out/scenarios/fast

test-compat:      ## the official Fishjam SDK and Vapi's, against our server, pipeline and emulator
	uv run --with fishjam-server-sdk==0.31.1 pytest tests/compat
	uv run --with vapi_server_sdk==3.0.0 pytest integrations/vapi/tests/test_official_sdk.py

distributions:    ## every distribution, installed from its wheel and from its sdist
	bash .ci/distributions

soak:             ## a minute of cut sockets for the SDK
	FISHJAM_SOAK=1 uv run pytest tests/fishjam/test_chaos.py

CALLS = 20
MINUTES = 15
SEED = 1
soak-calls:       ## calls through real sockets under random faults, CALLS of them for MINUTES: out/soak
	MALLOC_MMAP_THRESHOLD_=1048576 uv run python -m bench.soak --calls $(CALLS) --minutes $(MINUTES) --seed $(SEED) --restarts 2

quality:          ## how polite the turn-taking is, in figures: writes docs/quality.md and quality-end-of-turn.md
	uv run python -m quality
	uv run python -m quality.end_of_turn

bench:            ## the budget table
	uv run python -m bench

demo:             ## a caller asks, the parrot answers, the caller talks over it: see out/demo
	uv run python -m fishjam_agents simulate examples/parrot/config.yaml \
		--caller audio_fixtures/interrupter.wav --out out/demo

screenshots:      ## take the pictures of docs/playground.md again, in real calls
	uv run python -m tests.browser.screenshots

events:           ## rewrite the tables of events and of metrics in the docs from their definitions
	uv run python -m tests.docs.event_table
	uv run python -m tests.docs.metric_tables

docs:             ## the documentation as a site, which needs no server: out/site/index.html
	NO_MKDOCS_2_WARNING=1 uv run --group docs python -m mkdocs build --strict --quiet

schema:           ## rewrite the schemas of examples/ from the settings classes
	uv run python -m tests.docs.config_schema

templates:        ## copy examples/offline_assistant into what `new --backend offline` writes
	uv run python -m tests.docs.scaffold_templates

clients:          ## rewrite the methods of the REST clients from the endpoints that define them
	uv run python -m fishjam_agents.fishjam.generate_clients

protocol:         ## regenerate fishjam_agents/protocol/generated from the schema
	uv run --group protocol bash fishjam_agents/protocol/generate.sh
