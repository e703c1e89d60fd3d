"""Medians, spreads, the table and the JSON object."""

import json
import statistics


class Figures:
    """Each figure has one value a round. Order is that of the first mention."""

    def __init__(self):
        self._values, self._single, self._units = {}, {}, {}

    def add(self, name, value, unit=""):
        self._values.setdefault(name, []).append(value)
        self._units[name] = unit

    def set(self, name, value):
        """A figure that is no number, or that has no rounds."""
        self._single[name] = value

    def has(self, name):
        return name in self._values

    def median(self, name):
        return statistics.median(self._values[name])

    def add_ratio(self, name, above, below):
        """Round by round for the spread; the figure itself is the quotient of the two medians."""
        if not (self.has(above) and self.has(below)):
            return
        for a, b in zip(self._values[above], self._values[below]):
            self.add(name, a / b if b else 0.0, "x")
        if self.median(below):
            self.set(name, self.median(above) / self.median(below))

    def table(self):
        lines = [f"{'figure':<34}{'median':>12}{'min':>12}{'max':>12}{'spread':>8}  unit"]
        for name, values in self._values.items():
            middle = self._single.get(name, statistics.median(values))
            spread = (max(values) - min(values)) / middle if middle else 0.0
            lines.append(
                f"{name:<34}{shown(middle):>12}{shown(min(values)):>12}{shown(max(values)):>12}"
                f"{spread:>7.0%}   {self._units[name]}"
            )
        return "\n".join(lines)

    def json(self):
        """One line. Medians under their names, [min, max] under spread."""
        answer = {name: rounded(statistics.median(v)) for name, v in self._values.items()}
        answer.update({name: rounded(value) for name, value in self._single.items()})
        answer["spread"] = {
            name: [rounded(min(v)), rounded(max(v))]
            for name, v in self._values.items()
            if len(v) > 1
        }
        return json.dumps(answer)


def rounded(value):
    if isinstance(value, float):
        return round(value, 3 if abs(value) < 100 else 1)
    if isinstance(value, dict):
        return {name: rounded(inner) for name, inner in value.items()}
    return value


def shown(value):
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def cpu_table(rows):
    """rows: {workload: {role: CPU us an operation}}."""
    roles = list(dict.fromkeys(role for row in rows.values() for role in row))
    lines = [f"{'CPU us an operation':<22}" + "".join(f"{role:>12}" for role in roles)]
    for name, row in rows.items():
        lines.append(f"{name:<22}" + "".join(f"{row.get(role, 0.0):>12.1f}" for role in roles))
    return "\n".join(lines)
