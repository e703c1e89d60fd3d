"""Rates and latencies: the product and what it is compared with, in turns (A B A B A B)."""

import collections
import statistics

import cell as cells
import report
import tools
import traffic
import workloads as w

# Whose items are counted as they travel.
WATCHED = ("encrypt", "batch_encrypt")
# What 64 and what 1 mean for CreateKey and for etcd's puts: calls under way in all.
MANY = 64


class Rounds:
    """Runs workloads round by round and keeps what each gave."""

    def __init__(self, bench):
        self.bench, self.figures = bench, bench.figures
        self._cpu = collections.defaultdict(lambda: collections.defaultdict(list))
        self._hops = collections.defaultdict(lambda: collections.defaultdict(list))

    def note(self, name, run, items=1, rate_name=None):
        add = self.figures.add
        add(rate_name or f"{name}_rps", run.rps * items, "1/s")
        add(f"{name}_p50_us", run.answer["p50_us"], "us")
        add(f"{name}_p99_us", run.answer["p99_us"], "us")
        for process, cpu in run.cpu_us_per_op(items).items():
            self._cpu[name][process].append(cpu)
        self.bench.others.append(run.others_cores)
        self.bench.failed += run.failed
        rate = f"{run.rps * items:,.0f}/s"
        latency = f"p50 {run.answer['p50_us']:,.0f} us, p99 {run.answer['p99_us']:,.0f} us"
        failed = f", FAILED by status: {run.answer['failures']}" if run.failed else ""
        self.bench.say(f"  {name:<18} {rate:>10}  {latency}{failed}")
        assert run.rps > 0, f"{name}: nothing succeeded: {run.answer}"

    def run(self, workload, pids, cell=None, rate_name=None, watch=None):
        command = self.bench.loads.command(workload, *self.bench.plan.times)
        run = tools.measure(command, pids, cell, watch)
        self.note(workload.name, run, workload.items, rate_name)
        return run

    def cpu(self):
        """{workload: {process: CPU us an operation}}, medians."""
        return medians(self._cpu)

    # ---- Stages ----

    def crypto(self):
        workloads = self.bench.crypto_loads
        pids = {**self.bench.pids(), **self.bench.echo_pids}
        watch = traffic.Watch(self.bench.cluster)
        for number in range(self.bench.plan.rounds):
            self.bench.say(f"crypto, round {number + 1} of {self.bench.plan.rounds}")
            for workload in workloads:
                rate = "batch_encrypt_items_ps" if workload.items > 1 else None
                watched = workload.name in WATCHED
                run = self.run(workload, pids, rate_name=rate, watch=watch if watched else None)
                if watched:
                    self._travel(workload, run)
            for workload in workloads[:3]:
                self.run(workload.alone(), pids)
        for suffix in ("", "_256"):
            self.figures.add_ratio(
                f"encrypt_ratio{suffix}", f"encrypt{suffix}_rps", f"echo{suffix}_rps"
            )
        self.figures.add_ratio("batch_ratio", "batch_encrypt_items_ps", "encrypt_rps")
        self.figures.add_ratio("batch_echo_ratio", "batch_encrypt_items_ps", "echo_rps")
        self.figures.set("items_per_message", medians(self._hops))

    def _travel(self, workload, run):
        """How many items shared a message on each hop, and what an Encrypt costs in wakes."""
        for hop, items in traffic.items_per_message(run.counts).items():
            self._hops[workload.name][hop].append(items)
        if workload.name == "encrypt":
            for name in ("keystore_switches", "frontend_sendmsg"):
                if name in run.counts:
                    each = run.counts[name] / run.answer["calls"]
                    self.figures.add(f"{name}_per_encrypt", each, "")

    def create(self):
        bench = self.bench
        bench.account("bench")
        many = bench.loads.create_key("bench", outstanding=MANY // w.CHANNELS)
        cell, pids = cells.Cell(bench.cluster.topology, bench.cluster.region), bench.pids()
        size = cells.key_record_size(bench.cluster, bench.cluster.region)
        self.figures.set("etcd_put_key_bytes", size[0])
        self.figures.set("etcd_put_value_bytes", size[1])
        for number in range(bench.plan.rounds):
            bench.say(f"CreateKey and etcd puts, round {number + 1} of {bench.plan.rounds}")
            for workload, outstanding, suffix in ((many, MANY, ""), (many.alone(), 1, "_1")):
                run = self.run(workload, pids, cell)
                self._etcd(workload.name, run)
                bench.keys_made += run.answer["calls"]
                put = w.put_command(
                    bench.built, bench.cluster, cell, size, outstanding, bench.plan.times
                )
                run = tools.measure(put, pids, cell)
                self.note(f"etcd_put{suffix}", run)
                self._etcd(f"etcd_put{suffix}", run)
        self.figures.add_ratio("create_key_ratio", "create_key_rps", "etcd_put_rps")
        self.figures.add_ratio("create_key_ratio_1", "create_key_1_rps", "etcd_put_1_rps")

    def _etcd(self, name, run):
        """What an operation costs etcd: calls of all members, CPU of all members."""
        self.figures.add(f"{name}_etcd_calls_ps", run.etcd_calls_ps, "1/s")
        if not run.rps:
            return
        self.figures.add(f"{name}_etcd_calls_per_op", run.etcd_calls_ps / run.rps, "")
        region = self.bench.cluster.region
        cores = sum(c for p, c in run.cpu_cores.items() if p.startswith("etcd-") and region in p)
        self.figures.add(f"{name}_etcd_cpu_us_per_op", cores * 1e6 / run.rps, "us")

    def finish(self):
        cpu = self.cpu()
        self.figures.set("cpu_us_per_op", cpu)
        roles = {name: by_role(row, self.bench.cluster.region) for name, row in cpu.items()}
        return report.cpu_table(roles) if roles else ""


def medians(rows):
    """{name: {column: median of its values}}."""
    return {n: {c: statistics.median(v) for c, v in row.items()} for n, row in rows.items()}


def by_role(row, region):
    """Sums over the region's processes of a kind; everything else is `elsewhere`."""
    roles = dict.fromkeys(("load", "echo", "frontend", "keystore", "hsm", "etcd", "elsewhere"), 0.0)
    for process, value in row.items():
        role = process.split("-")[0].split("_")[0]
        if role not in ("load", "echo") and region not in process:
            role = "elsewhere"
        roles[role] += value
    return roles
