# SPDX-License-Identifier: BSD-3-Clause
"""The class colours of src/plot/palette.c: prints the table.

The first seven are those of Okabe and Ito (2008) without black, which is the colour of text. Each
further one is the candidate farthest from all before it, where a distance is the smallest of those
seen by normal, protan, deutan and tritan eyes, in OKLab (Ottosson 2020) with lightness weighted up,
since lightness is what survives print and every kind of colour blindness. Distances seen by colour
blind eyes count more: asked for in full, they leave room for little but shades of blue and brown.
Candidates: a grid of sRGB, not so light that they fade on white, not so dark that they look black,
not so grey that they look like the cells without a class, not so vivid that they shout. Deficient sight is simulated as Viénot,
Brettel and Mollon (1999) do for protan and deutan, by projection in LMS space."""
import numpy as np

OKABE_ITO = ["0072B2", "D55E00", "009E73", "CC79A7", "E69F00", "56B4E9", "F0E442"]
N_COLOURS = 48
LIGHTNESS_WEIGHT = 1.3
SIGHT_WEIGHT = {"normal": 1.0, "protan": 1.8, "deutan": 1.8, "tritan": 2.5}

LINEAR_TO_LMS = np.array([[17.8824, 43.5161, 4.11935], [3.45565, 27.1554, 3.86714],
                          [0.0299566, 0.184309, 1.46709]])
SEEN = {  # in LMS: the missing cone's answer from the other two
    "protan": np.array([[0, 2.02344, -2.52581], [0, 1, 0], [0, 0, 1]]),
    "deutan": np.array([[1, 0, 0], [0.494207, 0, 1.24827], [0, 0, 1]]),
    "tritan": np.array([[1, 0, 0], [0, 1, 0], [-0.395913, 0.801109, 0]]),
}
OK_LMS = np.array([[0.4122214708, 0.5363325363, 0.0514459929],
                   [0.2119034982, 0.6806995451, 0.1073969566],
                   [0.0883024619, 0.2817188376, 0.6299787005]])
OK_LAB = np.array([[0.2104542553, 0.7936177850, -0.0040720468],
                   [1.9779984951, -2.4285922050, 0.4505937099],
                   [0.0259040371, 0.7827717662, -0.8086757660]])


def linear(srgb):
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def oklab(rgb):
    return np.cbrt(np.clip(rgb, 0, 1) @ OK_LMS.T) @ OK_LAB.T


def seen(srgb):
    """Coordinates [kinds of sight, n, 3], each weighted."""
    rgb = linear(srgb)
    views = [oklab(rgb)]
    for matrix in SEEN.values():
        views.append(oklab(rgb @ LINEAR_TO_LMS.T @ matrix.T @ np.linalg.inv(LINEAR_TO_LMS).T))
    weights = np.array(list(SIGHT_WEIGHT.values()))
    return np.array(views) * [LIGHTNESS_WEIGHT, 1, 1] * weights[:, None, None]


def main():
    levels = np.arange(0, 256, 15)
    grid = np.array(np.meshgrid(levels, levels, levels)).reshape(3, -1).T / 255
    lab = oklab(linear(grid))
    chroma = np.hypot(lab[:, 1], lab[:, 2])
    grid = grid[(lab[:, 0] > 0.34) & (lab[:, 0] < 0.86) & (chroma > 0.05) & (chroma < 0.22)]
    chosen = [np.array([int(c[i:i + 2], 16) for i in (0, 2, 4)]) / 255 for c in OKABE_ITO]
    views = seen(grid)
    far = np.full(len(grid), np.inf)

    def take(colour):
        nonlocal far
        away = np.linalg.norm(views - seen(colour[None])[:, 0][:, None], axis=2).min(axis=0)
        far = np.minimum(far, away)

    for colour in chosen:
        take(colour)
    take(np.array([0.8, 0.8, 0.8]))  # cells without a class
    while len(chosen) < N_COLOURS:
        best = int(np.argmax(far))
        print(f"/* {len(chosen)}: {far[best]:.3f} from all before */")
        chosen.append(grid[best])
        take(grid[best])
    for colour in chosen:
        print("    {0x%02x, 0x%02x, 0x%02x}," % tuple(np.rint(colour * 255).astype(int)))


if __name__ == "__main__":
    main()
