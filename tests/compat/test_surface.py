"""The package has every public name of dify-oapi2 1.1.2, and nothing differs that is not written down."""

import surface


def test_the_package_is_what_the_list_says() -> None:
    assert list(surface.compared(surface.ours(), surface.surface())) == []


def test_the_list_is_written_as_it_is_read() -> None:
    text = surface.SURFACE.read_text("utf-8")
    assert surface.written(surface.read(text)) == text


def test_the_list_has_what_dify_oapi2_promises() -> None:
    """The counts of its README are of operations; the list has at least a call for each."""
    table = surface.read(surface.SURFACE.read_text("utf-8"))

    def calls(service: str) -> int:
        held = table[f"api.{service}.v1.version"]["holder V1"]
        homes = [line.partition(": ")[2].rpartition(".") for line in held]
        return sum(len(table[module][f"resource {name}"]) for module, _, name in homes)

    promised = {"chat": 22, "chatflow": 17, "completion": 15, "knowledge": 33}
    counted = {service: calls(service) for service in ("dify", "workflow", *promised)}
    assert counted == {
        "dify": 9,
        "workflow": 13,
        "chat": 25,
        "chatflow": 23,
        "completion": 17,
        "knowledge": 33,
    }
    assert all(counted[service] >= count for service, count in promised.items())


def test_no_module_is_lost_and_few_things_differ() -> None:
    before, after = surface.read(surface.SURFACE.read_text("utf-8")), surface.ours()
    assert set(before) == set(after)
    assert 0 < len(list(surface.compared(before, after))) < 50
