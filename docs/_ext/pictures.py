"""One style for the pictures of the gallery and of ``.. plot::``."""

from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib import rc_params_from_file
from PIL import Image
from sphinx_gallery.scrapers import matplotlib_scraper

STYLE = Path(__file__).parent.parent / "pictures.mplstyle"
THUMBNAIL = (560, 392)  # pixels, two for one of a card
PANELS = "gallery/images/panels"


def settings():
    """What the style sets, as ``plot_rcparams`` wants it."""
    return dict(rc_params_from_file(STYLE, use_default_template=False))


def use_style(gallery_conf, script):
    """Start a script of the gallery with the style, whatever the last one has set."""
    plt.style.use(["default", STYLE])


def scrape(block, block_vars, gallery_conf):
    """Keep the pictures of a cell, and of the first one its first panel for the thumbnail."""
    figures = plt.get_fignums()
    if figures and not len(block_vars["image_path_iterator"]):
        figure = plt.figure(figures[0])
        figure.draw_without_rendering()
        box = figure.axes[0].get_tightbbox().transformed(figure.dpi_scale_trans.inverted())
        folder = Path(gallery_conf["src_dir"]) / PANELS
        folder.mkdir(parents=True, exist_ok=True)
        figure.savefig(folder / f"{Path(block_vars['src_file']).stem}.png", bbox_inches=box)
    return matplotlib_scraper(block, block_vars, gallery_conf)


def show_panels(app):
    """Make thumbnails of the panels: of the whole picture nothing could be read."""
    for panel in (Path(app.srcdir) / PANELS).glob("*.png"):
        with Image.open(panel) as image:
            image.thumbnail(THUMBNAIL)
            image.save(panel.parents[1] / "thumb" / f"sphx_glr_{panel.stem}_thumb.png")
